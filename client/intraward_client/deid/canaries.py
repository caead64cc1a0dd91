"""The self-test's canaries: one invented identifier per class, and phrases that must come through whole.

Keeps rule 2 of DESIGN.md (section 8.1 of the facts page): fixed and synthetic; 555-01xx numbers, example
domains, 9xx social security numbers, documentation addresses.
"""

from __future__ import annotations

MODEL_ONLY = "John Smith went to Chicago with Michael Brown."
"""Only the statistical model finds these; without it nothing does, and nothing else would say so."""

CANARIES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("NAME", "Patient: Ottoline Varga was seen by Dr. Parkinson.", ("Ottoline", "Varga", "Parkinson")),
    ("NAME", "Her daughter Anjali Deshmukh called about the cough.", ("Anjali", "Deshmukh")),
    ("DATE", "Admitted on March 14, 2021 and discharged 03/19/2021.", ("March", "14", "03/19", "19")),
    ("AGE", "This 94 year old woman fell at home.", ("94",)),
    ("PHONE", "Call back on (312) 555-0143, fax 312-555-0199, pager 4417.", ("0143", "0199", "4417")),
    ("EMAIL", "Write to o.varga@example.org about results.", ("varga", "@")),
    ("MRN", "MRN: 48120957, record no. 77-31-20.", ("48120957", "77-31-20")),
    ("NHS", "NHS number 943 476 5919 was checked.", ("943", "5919")),
    ("SSN", "SSN 947-49-5527 is on the form.", ("947", "5527")),
    ("HEALTH_PLAN", "Insurance ID WGB380503798 is active.", ("WGB", "380503798")),
    ("ACCOUNT", "Account number 1423541246, accession A-22-91734.", ("1423541246", "91734")),
    ("LICENSE", "Surgeon license E7910354 on file.", ("7910354",)),
    ("DEVICE", "Pacemaker serial SN-9201-M432 was noted.", ("9201", "M432")),
    ("VEHICLE", "The vehicle plate BVX 0442 was recorded.", ("BVX", "0442")),
    ("URL", "See https://portal.example.org/p/334067 for details.", ("portal", "334067")),
    ("IP", "Sent from 192.0.2.13 at night.", ("192.0",)),
    ("ADDRESS", "Lives at 8596 Old Mill Road, Ashbourne, NC 73270.", ("8596", "Mill", "Ashbourne", "73270")),
    ("ZIP", "Home zip code 60614 was given.", ("60614",)),
    ("LOCATION", "She lives in Ashbourne with her cat.", ("Ashbourne",)),
    ("FACILITY", "Transferred from Northlake General Hospital.", ("Northlake",)),
    ("ROOM", "Moved to room 412B in the evening.", ("412",)),
    ("USERNAME", "Portal login: ovarga71 was reset.", ("ovarga71",)),
    ("BIOMETRIC", "Fingerprint id FP-88213 is stored.", ("88213",)),
    ("ID", "Study code QX-4471-882 applies.", ("4471", "882")),
)

PHRASES = (
    "64 year old man with chest pain for 3 days",
    "Blood pressure 128/76, pulse 88, temperature 38.9 C, pain 7/10.",
    "History of Crohn's disease and Parkinson disease; Foley catheter in place.",
    "Metformin 500 mg twice daily for two weeks, then review in six weeks.",
)

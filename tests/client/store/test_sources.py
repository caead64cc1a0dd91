"""Tables, folders and FHIR exports become the rows that JSONL would give; faults are told by their place."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.raw import reveal
from intraward_client.importing import check_source, open_source
from intraward_client.store import intake, notes
from intraward_client.store.sources import Source
from intraward_client.store.vault import Vault
from intraward_shared.errors import ConfigError, InputError

NAME = "Varga"
NOTE = "Patient: Ottoline Varga. She keeps a kettle in the kitchen."
ROWS: list[dict[str, Any]] = [
    {"id": "n1", "patient": "P-1", "text": NOTE, "known": {"last": NAME, "mrn": "77412"}},
    {"id": "n2", "patient": "P-2", "text": 'He said "no",\nand left.', "known": {"last": "Moreau"}},
]
MAPPING = """[columns]
id = "NOTE_ID"
patient = "MRN"
text = "BODY"
[known]
last = "SURNAME"
mrn = "MRN_NO"
"""


def seen(source: Source) -> list[tuple[str, str, tuple[str, ...], dict[str, str]]]:
    """Id, patient, texts and known identifiers of every row."""
    return [
        (r.row_id, r.patient_id, tuple(reveal(t)[0] for t in r.texts), dict(reveal(r.texts[0])[1]))
        for r in source.rows()
    ]


def put(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    return put(path, "".join(json.dumps(row) + "\n" for row in rows))


def document(**changes: Any) -> dict[str, Any]:
    """A DocumentReference with its text in it."""
    data = base64.b64encode(NOTE.encode()).decode()
    made: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "subject": {"reference": "Patient/a1"},
        "author": [{"display": "Dr. Basil Thornquist"}],
        "content": [{"attachment": {"contentType": "text/plain; charset=utf-8", "data": data}}],
    }
    return {key: value for key, value in (made | changes).items() if value is not None}


def attached(content: bytes, kind: str) -> dict[str, Any]:
    return {"attachment": {"contentType": kind, "data": base64.b64encode(content).decode()}}


PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "a1",
    "identifier": [
        {"system": "urn:mrn", "value": "P-1"},
        {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "123-45-6789"},
    ],
    "name": [{"family": NAME, "given": ["Ottoline", "Maud"]}, {"use": "maiden", "family": "Quillfeather"}],
    "birthDate": "1950-02-03",
    "telecom": [{"system": "phone", "value": "555-010-4477"}, {"system": "email", "value": "o@example.org"}],
    "address": [{"line": ["1 Elm Street"], "city": "Hathersage", "postalCode": "01234"}],
    "contact": [
        {"name": {"family": "Varga", "given": ["Piers"]}, "telecom": [{"system": "phone", "value": "555-1"}]}
    ],
}


@pytest.fixture(scope="module")
def engine() -> Deidentifier:
    return Deidentifier(DeidSettings(), bytes(32))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault.create(tmp_path / "vault" / "vault.db", tmp_path / "keys", index_key=bytes(32))
    yield made
    made.close()


def test_every_form_gives_the_rows_of_jsonl(tmp_path: Path) -> None:
    wanted = seen(open_source(jsonl(tmp_path / "rows.jsonl", *ROWS), "notes"))
    quoted = [row["text"].replace('"', '""') for row in ROWS]
    table = f'\ufeffid,patient,known.mrn,known.last,text\r\nn1,P-1,77412,Varga,"{quoted[0]}"\r\n\r\n'
    table += f'n2,P-2,,Moreau,"{quoted[1]}"\r\n'
    assert sorted(seen(open_source(put(tmp_path / "rows.csv", table), "notes"))) == sorted(wanted)
    mapping = put(tmp_path / "map.toml", MAPPING + '[csv]\ndelimiter = ";"\n')
    table = f'MRN;MRN_NO;NOTE_ID;WARD;SURNAME;BODY\nP-1;77412;n1;x;Varga;"{quoted[0]}"\n'
    table += f'P-2;;n2;x;Moreau;"{quoted[1]}"\n'
    assert seen(open_source(put(tmp_path / "mapped.csv", table), "notes", mapping=mapping)) == wanted
    theirs = [
        {"NOTE_ID": r["id"], "MRN": r["patient"], "BODY": r["text"], "WARD": 3}
        | {"SURNAME": r["known"]["last"], "MRN_NO": r["known"].get("mrn")}
        for r in ROWS
    ]
    assert seen(open_source(jsonl(tmp_path / "mapped.jsonl", *theirs), "notes", mapping=mapping)) == wanted
    patients = jsonl(tmp_path / "p.jsonl", *({k: r[k] for k in ("patient", "known")} for r in ROWS))
    for row in ROWS:
        put(tmp_path / "folder" / row["patient"] / f"{row['id']}.txt", row["text"])
    put(tmp_path / "folder" / ".hidden" / "x", b"\xff")
    folder = seen(open_source(tmp_path / "folder", "notes", patients=patients))
    assert [(p, t, k) for _, p, t, k in folder] == [(p, t, k) for _, p, t, k in wanted]
    assert [name for name, *_ in folder] == ["P-1/n1.txt", "P-2/n2.txt"]


def test_tables_of_pairs_and_demonstrations(tmp_path: Path) -> None:
    pairs = put(tmp_path / "p.csv", "patient,prompt,chosen,rejected,margin\np,cough?,see a doctor,wait,1.5\n")
    (row,) = open_source(pairs, "preferences").rows()
    assert (row.patient_id, row.margin, len(row.texts)) == ("p", 1.5, 3)
    table = put(tmp_path / "d.tsv", "patient\tprompt\tcompletion\np\tcough?\trest, and tea\n")
    (row,) = open_source(table, "demonstrations").rows()
    assert reveal(row.texts[1])[0] == "rest, and tea"


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("id,patient\n", 1, "there is no column 'text'"),
        ("id,id,patient,text\n", 1, "named twice"),
        (f'id,patient,text\nn1,p,"{NAME}\n\nx"\nn2,p\n', 5, "another number of columns"),
        (f'id,patient,text\nn1,p,"{NAME}"x\n', 2, "not CSV"),
        (f'id,patient,text\nn1,p,x\nn2,p,"{NAME}', 3, "not CSV"),
        (f"id,patient,text\nn1,p,x\nn1,p,{NAME}\n", 3, "used before"),
        (f"id,patient,text\nn1,,{NAME}\n", 2, "'patient' is not"),
        (f"id,patient,text\nn1,p,{NAME}\n".encode("utf-16"), 1, "not UTF-8"),
        (b"id,patient,text\nn1,p,x\nn2,p,Varga \xe9\n", 3, "not UTF-8"),
        ("", 0, "no header"),
    ],
)
def test_a_bad_table_is_refused_by_its_line(tmp_path: Path, text: str | bytes, line: int, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        check_source(open_source(put(tmp_path / "rows.csv", text), "notes"))
    assert refused.value.line == line and NAME not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("Varga-1/n.doc", b"x", "does not fit"),
        ("n.txt", b"x", "does not fit"),
        ("Varga-1/n.txt", b"\xff\xfe", "not UTF-8"),
        ("Varga-3/n.txt", b"x", "does not name this row's patient"),
    ],
)
def test_a_bad_file_of_a_folder_is_told_by_its_place(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    put(tmp_path / "folder" / "A-1" / "n.txt", "good")
    put(tmp_path / "folder" / name, content)
    known = jsonl(tmp_path / "p.jsonl", *({"patient": p, "known": {}} for p in ("A-1", "Varga-1")))
    with pytest.raises(InputError, match=f"folder: file 2 of the folder: .*{why}") as refused:
        check_source(open_source(tmp_path / "folder", "notes", patients=known))
    assert NAME not in str(refused.value)


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    outside = put(tmp_path / "secret.txt", NOTE)
    (tmp_path / "folder" / "A-1").mkdir(parents=True)
    (tmp_path / "folder" / "A-1" / "n.txt").symlink_to(outside)
    with pytest.raises(InputError, match="is a link"):
        check_source(open_source(tmp_path / "folder", "notes"))


def test_fhir_documents_with_their_patients(tmp_path: Path) -> None:
    html = {"content": [attached(b"<p>Knee pain.</p>", "text/html"), attached(b"Knee pain.", "text/plain")]}
    latin = {"content": [attached("Caf\xe9 visit.".encode("latin-1"), "text/plain; charset=iso-8859-1")]}
    url = {
        "content": [{"attachment": {"contentType": "text/plain", "url": "data:text/plain;base64,S25lZS4="}}]
    }
    path = jsonl(
        tmp_path / "DocumentReference.ndjson",
        document(),
        document(id="d2", **html),
        document(
            id="d3", subject={"reference": "https://ehr.example.org/fhir/Patient/a1/_history/2"}, **latin
        ),
        document(id="d4", **url),
        document(id="d5", status="entered-in-error"),
        document(id="d6", docStatus="entered-in-error"),
        document(id="d7", status="superseded"),
    )
    patients = jsonl(tmp_path / "Patient.ndjson", PATIENT)
    mapping = put(tmp_path / "fhir.toml", '[fhir]\npatient_system = "urn:mrn"\n')
    source = open_source(path, "notes", mapping=mapping, patients=patients)
    rows = seen(source)
    assert [(name, patient, texts[0]) for name, patient, texts, _ in rows] == [
        ("d1", "P-1", NOTE),
        ("d2", "P-1", "Knee pain."),
        ("d3", "P-1", "Caf\xe9 visit."),
        ("d4", "P-1", "Knee."),
    ]
    assert dict(source.left_out) == {"entered-in-error": 2, "status": 1}
    assert rows[0][3] == {
        "clinician": "Dr. Basil Thornquist",
        "last": NAME,
        "first": "Ottoline",
        "middle": "Maud",
        "maiden": "Quillfeather",
        "mrn": "P-1",
        "ssn": "123-45-6789",
        "dob": "1950-02-03",
        "phone": "555-010-4477",
        "phone_2": "555-1",
        "email": "o@example.org",
        "address": "1 Elm Street",
        "city": "Hathersage",
        "zip": "01234",
        "kin": "Piers Varga",
    }
    assert {patient for _, patient, *_ in seen(open_source(path, "notes"))} == {"a1"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"resourceType": "Patient"}, "not a DocumentReference"),
        ({"Varga": 1}, "not a valid DocumentReference"),
        ({"content": "Varga"}, "not a valid DocumentReference"),
        ({"subject": {"reference": "Group/Varga"}}, "not a reference to a Patient"),
        ({"subject": None}, "not a reference to a Patient"),
        ({"subject": {"reference": "Patient/b2"}}, "does not hold this document's patient"),
        ({"id": None}, "no id"),
        ({"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}, "modifier extension"),
        ({"content": [attached(b"Varga", "application/pdf")]}, "no attachment is of a type"),
        ({"content": [attached(b"Varga \xe9", "text/plain")]}, "not text of its character set"),
        ({"content": [attached(b"Varga", "text/plain; charset=ebcdic")]}, "character set that is not read"),
        (
            {"content": [{"attachment": {"contentType": "text/plain", "url": "Binary/Varga"}}]},
            "not in the file",
        ),
        ({"content": [{"attachment": {"contentType": "text/plain", "data": "Varga!"}}]}, "not a"),
    ],
)
def test_a_bad_document_is_refused_by_its_line(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    path = jsonl(tmp_path / "d.ndjson", document(id="first"), document(**changes))
    patients = jsonl(tmp_path / "p.ndjson", PATIENT)
    with pytest.raises(InputError, match=why) as refused:
        check_source(open_source(path, "notes", patients=patients))
    assert refused.value.line == 2 and NAME not in str(refused.value)


def test_types_that_the_mapping_skips_are_counted(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "d.ndjson", document(), document(id="d2", content=[attached(b"%PDF", "application/pdf")])
    )
    mapping = put(tmp_path / "m.toml", '[fhir]\nskip_types = ["application/pdf"]\n')
    source = open_source(path, "notes", mapping=mapping)
    assert len(seen(source)) == 1 and dict(source.left_out) == {"type": 1}


@pytest.mark.parametrize("identifier", [[], [{"system": "urn:mrn", "value": v} for v in ("1", "2")]])
def test_a_patient_without_the_one_identifier_is_refused(tmp_path: Path, identifier: list[Any]) -> None:
    mapping = put(tmp_path / "m.toml", '[fhir]\npatient_system = "urn:mrn"\n')
    path = jsonl(tmp_path / "d.ndjson", document())
    with pytest.raises(ConfigError, match="needs the Patient resources"):
        open_source(path, "notes", mapping=mapping)
    patients = jsonl(tmp_path / "p.ndjson", PATIENT | {"identifier": identifier})
    with pytest.raises(InputError, match="exactly one identifier"):
        open_source(path, "notes", mapping=mapping, patients=patients)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[columns]\nsurname = "X"\n', "columns"),
        ('[text]\npattern = "("\n', "text.pattern"),
        ('[text]\npattern = ".*"\n', "text.pattern"),
        ('[fhir]\ntypes = ["application/pdf"]\n', "fhir"),
        ('[csv]\ndelimiter = ";;"\n', "csv.delimiter"),
        ("[excel]\n", "excel"),
    ],
)
def test_a_mapping_that_is_wrong_names_its_key(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        open_source(tmp_path / "x.csv", "notes", mapping=put(tmp_path / "map.toml", text))
    assert refused.value.key == key


def test_an_import_resumes_and_a_second_does_only_what_is_new(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    path, patients = tmp_path / "d.ndjson", jsonl(tmp_path / "p.ndjson", PATIENT)
    jsonl(path, *(document(id=f"d{n}") for n in range(3)))
    first = intake.run_import(open_source(path, "notes", patients=patients), vault, engine)
    assert (first.notes_in, first.released, first.skipped) == (3, 3, 0)
    assert first.by_class["NAME"] == 3
    jsonl(path, *(document(id=f"d{n}") for n in range(4)), document(id="x", status="superseded"))
    again = intake.run_import(open_source(path, "notes", patients=patients), vault, engine)
    assert (again.notes_in, again.released, again.skipped, again.left_out) == (4, 1, 3, {"status": 1})
    assert all(NAME not in record.text for record in notes.note_records(vault))
    assert len({record.unit for record in notes.note_records(vault)}) == 1


def test_a_file_of_the_folder_that_changes_meanwhile_is_noticed(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    path = put(tmp_path / "folder" / "A-1" / "n.txt", "Knee pain.")

    def change(_done: int, _total: int) -> None:
        path.write_text("Ear pain.")

    with pytest.raises(InputError, match="changed while it was read"):
        intake.run_import(open_source(tmp_path / "folder", "notes"), vault, engine, progress=change)


def test_the_command_takes_a_mapping(make_site: Any, call: Any, tmp_path: Path) -> None:
    home = make_site(0)
    table = put(tmp_path / "notes.csv", f"MRN,MRN_NO,NOTE_ID,SURNAME,BODY\nP-1,77412,n1,{NAME},{NOTE}\n")
    mapping = put(tmp_path / "map.toml", MAPPING)
    words = ("import", table, "--mapping", mapping, "--home", home.root)
    for count in ("released", "skipped"):
        code, told = call(*words, "--json")
        assert code == 0 and json.JSONDecoder().raw_decode(told)[0][count] == 1
    code, told = call("import", tmp_path, "--kind", "preferences", "--home", home.root)
    assert code == 1 and "holds notes" in told

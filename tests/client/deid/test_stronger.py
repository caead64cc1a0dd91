"""A recognizer from the hospital's disk: pinned, mapped label by label, united with the rest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

from intraward_client.deid import stronger
from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.engine import Stronger
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.raw import ingest
from intraward_client.deid.recognizers import REQUIRED
from intraward_client.deid.stronger import DEFAULT_LABELS, inspect, load_stronger, mapped
from intraward_client.deid.tokenclassifier import TokenClassifier
from intraward_shared.errors import DeidError

SECRET = bytes(range(32))
NAMES = ("john", "smith", "michael", "brown", "zorblax")
OTHERS = ("we", "asked", "about", "the", "cough", "pain", "went", "to", "with", ".", "for", "days")
LABELS = ("O", "B-PATIENT", "I-PATIENT", "B-DATE")


def make_model(folder: Path, labels: tuple[str, ...] = LABELS, window: int = 64, steps: int = 60) -> Path:
    """A one-layer BERT whose labels of ``NAMES`` are learnt in ``steps``; other words are letters to it."""
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789"]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *NAMES, *OTHERS, *letters, *(f"##{one}" for one in letters)]
    place = {word: index for index, word in enumerate(dict.fromkeys(vocab))}
    raw = Tokenizer(models.WordPiece(vocab=place, unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer()
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.post_processor = processors.BertProcessing(("[SEP]", place["[SEP]"]), ("[CLS]", place["[CLS]"]))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="[PAD]", unk_token="[UNK]", model_max_length=window
    )
    config = BertConfig(
        vocab_size=len(place),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=window,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertForTokenClassification(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    words = torch.tensor([[index for word, index in place.items() if index > 3]])
    wanted = torch.tensor([[int(index in {place[name] for name in NAMES}) for index in words[0].tolist()]])
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        order = torch.randint(words.shape[1], (8, window - 2), generator=generator)
        optimizer.zero_grad()
        logits = model(input_ids=words[0][order]).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted[0][order].flatten()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("recognizer"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the model with some of its configuration changed."""

    def make(**changes: Any) -> Path:
        made = Path(shutil.copytree(folder, tmp_path / "copy"))
        config = json.loads((made / "config.json").read_text())
        (made / "config.json").write_text(json.dumps(config | changes))
        return made

    return make


def _classifiers(engine: Deidentifier) -> list[TokenClassifier]:
    every = engine._engine.analyzer.registry.recognizers
    return [one for one in every if isinstance(one, TokenClassifier)]


def load(folder: Path, **labels: str) -> Any:
    return load_stronger(folder, inspect(folder).sha256, labels, REQUIRED)


def test_it_is_united_with_the_rest(folder: Path, deidentifier: Deidentifier) -> None:
    given = "The cough of zorblax was dry. Dr. Varga agreed, MRN 48120957."
    alone = deidentifier.deidentify_text(given, "p", {})
    assert isinstance(alone, DeidentifiedNote) and "zorblax" in alone.text
    pin = Stronger(path=str(folder), sha256=inspect(folder).sha256)
    both = Deidentifier(DeidSettings(stronger=pin), SECRET)
    both.self_test()
    (outcome,) = both.deidentify_many([ingest("n", "p", given)])
    assert isinstance(outcome, DeidentifiedNote)
    assert outcome.text == alone.text.replace("zorblax", "[NAME]")
    assert outcome.receipt.model_sha256 == f"{both.settings.model_sha256}+{pin.sha256}"


def test_long_texts_are_read_to_the_end_and_to_whole_words(folder: Path) -> None:
    text = "we asked about the pain . " * 60 + "zorblaxes went to zorblax's cough"
    found = [text[one.start : one.end] for one in load(folder).analyze(text, ["PERSON"])]
    assert found[-1] == "zorblax" and len(found) <= 2


def test_a_word_on_the_edge_of_a_window_is_found(folder: Path) -> None:
    for before in range(55, 66):
        text = "cough " * before + "john smith went " + "pain " * 40
        spans = [text[one.start : one.end] for one in load(folder).analyze(text, ["PERSON"])]
        assert spans == ["john smith"]


def test_another_or_a_missing_model_is_refused(
    folder: Path, copy: Callable[..., Path], tmp_path: Path
) -> None:
    pin = inspect(folder).sha256
    with pytest.raises(DeidError, match="not the pinned"):
        load_stronger(copy(pad_token_id=0, extra=1), pin, {}, REQUIRED)
    with pytest.raises(DeidError, match="not there, and nothing is downloaded"):
        load_stronger(tmp_path / "none", pin, {}, REQUIRED)
    with pytest.raises(DeidError, match="no readable config"):
        inspect(tmp_path)
    with pytest.raises(DeidError, match="pinned"):
        Deidentifier(DeidSettings(stronger=Stronger(path=str(folder), sha256="0" * 64)), SECRET)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architectures": ["BertForMaskedLM"]}, "no token classifier"),
        ({"auto_map": {"AutoModel": "code.Model"}}, "config.json"),
        ({"id2label": None}, "names no labels"),
    ],
)
def test_a_model_of_another_kind_or_with_code_is_refused(
    copy: Callable[..., Path], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(DeidError, match=words):
        inspect(copy(**change))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "code.py", "sub/state.pkl"])
def test_pickle_and_code_in_the_folder_are_refused(copy: Callable[..., Path], name: str) -> None:
    made = copy()
    (made / name).parent.mkdir(exist_ok=True)
    (made / name).write_bytes(b"x")
    with pytest.raises(DeidError, match="neither pickle nor code"):
        inspect(made)


def test_every_label_must_be_mapped_to_a_known_entity_or_to_none(copy: Callable[..., Path]) -> None:
    made = copy(id2label={"0": "O", "1": "B-PATIENT", "2": "I-PATIENT", "3": "B-SPACESHIP"})
    with pytest.raises(DeidError, match="'SPACESHIP' is mapped to nothing"):
        load(made)
    with pytest.raises(DeidError, match="no entity: 'SHIP'"):
        load(made, SPACESHIP="SHIP")
    assert load(made, SPACESHIP="none").supported_entities == ["PERSON"]
    assert load(made, SPACESHIP="VEHICLE").supported_entities == ["PERSON", "VEHICLE"]
    with pytest.raises(DeidError, match="every label"):
        load(made, SPACESHIP="none", PATIENT="none")


def test_the_labels_of_the_two_public_models_are_known() -> None:
    stanford = ("DATE", "HCW", "HOSPITAL", "ID", "PATIENT", "PHONE", "VENDOR")
    obi = ("AGE", "DATE", "EMAIL", "HOSP", "ID", "LOC", "OTHERPHI", "PATIENT", "PATORG", "PHONE", "STAFF")
    for labels in (stanford, obi):
        assert set(mapped(labels, DEFAULT_LABELS, REQUIRED)) == set(labels)
    assert set(stronger.GLINER_LABELS.values()) <= REQUIRED


def test_a_failing_model_quarantines_and_never_says_nothing_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Deidentifier(
        DeidSettings(stronger=Stronger(path=str(folder), sha256=inspect(folder).sha256)), SECRET
    )
    (classifier,) = _classifiers(engine)
    with torch.no_grad():
        classifier._model.classifier.bias.fill_(float("nan"))
    outcome = engine.deidentify_text("we asked zorblax", "p", {})
    assert isinstance(outcome, Quarantined) and outcome.reason == "error"
    monkeypatch.setattr(classifier, "_model", None)
    outcome = engine.deidentify_text("we asked zorblax", "p", {})
    assert isinstance(outcome, Quarantined) and outcome.reason == "error"


def test_a_model_that_finds_no_name_fails_the_self_test(tmp_path: Path) -> None:
    lazy = make_model(tmp_path / "lazy", labels=("O", "X-O", "B-PATIENT"), steps=1)
    config = json.loads((lazy / "config.json").read_text())
    (lazy / "config.json").write_text(json.dumps(config | {"id2label": {"0": "PATIENT", "1": "O", "2": "O"}}))
    table = Stronger(path=str(lazy), sha256=inspect(lazy).sha256)
    engine = Deidentifier(DeidSettings(stronger=table), SECRET)
    (classifier,) = _classifiers(engine)
    with torch.no_grad():
        classifier._model.classifier.bias.copy_(torch.tensor([-9.0, 9.0, 0.0]))
    with pytest.raises(DeidError, match="finds no names"):
        engine.self_test()


def test_ages_up_to_89_are_no_identifier(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = load(folder)
    for text, found in (("age 64", []), ("age 94", ["94"]), ("age ninety", ["ninety"])):
        monkeypatch.setattr(recognizer, "_tokens", lambda given: [(4, len(given), "AGE_OVER_89")])
        assert [text[one.start : one.end] for one in recognizer.analyze(text, [])] == found


def test_gliner_is_an_extra_and_its_absence_refuses(tmp_path: Path) -> None:
    (tmp_path / "gliner_config.json").write_text("{}")
    try:
        import gliner  # noqa: F401
    except ImportError:
        with pytest.raises(DeidError, match="GLiNER is not installed"):
            load(tmp_path)
    else:
        with pytest.raises(DeidError, match="cannot be loaded"):
            load(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(DeidError, match="neither pickle nor code"):
        inspect(tmp_path)

"""One answer of an installed adapter to a prompt typed at the hospital; nothing of either is kept.

For a person's own look before clinicians see a release. The prompt is neither logged nor stored, the answer
goes to whoever asked, no core dump is written, and nothing of it trains anything.
"""

from __future__ import annotations

import sys
from pathlib import Path

from intraward_client.memory import keep_memory_private
from intraward_shared.adapters import Array
from intraward_shared.brought import read_brought
from intraward_shared.errors import ContractError, InputError
from intraward_shared.signed_adapter import AdapterManifest
from intraward_shared.stages import Stage

MOST_BYTES = 200_000


def read_prompt(path: Path | None) -> str:
    """The prompt from a file, or from standard input.

    Raises:
        InputError: missing, empty, too long, or not UTF-8; names the file, never the text.
    """
    name = path.name if path is not None else "standard input"
    try:
        data = read_brought(path, MOST_BYTES) if path is not None else sys.stdin.buffer.read(MOST_BYTES + 1)
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(name, 0, "is not UTF-8", remedy="save it as UTF-8") from None
    except OSError:
        raise InputError(name, 0, "cannot be read", remedy="check the path") from None
    if not text.strip() or len(data) > MOST_BYTES:
        raise InputError(name, 0, "holds no prompt, or too long a one", remedy="give one prompt as text")
    return text.strip()


def answer(
    model: tuple[str, str, str, str],
    manifest: AdapterManifest,
    state: dict[str, Array],
    prompt: str,
    max_new_tokens: int,
    temperature: float,
) -> str:
    """The adapter's answer.

    Args:
        model: path, sha256, device and dtype of the pinned base model.
        manifest: of the adapter, verified.
        state: its tensors.
        prompt: text; its first tokens are left out where the model's context is too short.
        max_new_tokens: most tokens of the answer; never more than half the model's context.
        temperature: 0 for the likeliest tokens.

    Raises:
        ContractError: a reward model, which gives no answers, or tensors that do not fit.
        ModelError: the base model is not there, or not the pinned one.
    """
    if manifest.stage is Stage.REWARD:
        raise ContractError("this adapter is a reward model and answers nothing", remedy="try a policy")
    keep_memory_private()
    import torch

    from intraward_shared.generation import generate_texts
    from intraward_shared.modeling import adapted, load_base

    path, sha256, device, dtype = model
    base = load_base(path, sha256, device, "bf16" if dtype == "bf16" else "fp32")
    new = min(max_new_tokens, base.context // 2)
    generator = torch.Generator()
    generator.seed()
    with adapted(base, manifest.lora, ("policy",)) as adapter:
        adapter.load("policy", state)
        adapter.use("policy")
        (text,) = generate_texts(
            adapter,
            [prompt],
            max_prompt=base.context - new,
            max_new=new,
            generator=generator,
            temperature=temperature,
        )
    return text

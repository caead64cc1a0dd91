"""Sampling's parts: a row's token is its own, a cache with room holds what transformers' does, rows leave."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import DynamicCache

from intraward_shared.decoding import draw, roomy_cache
from intraward_shared.generation import sample
from intraward_shared.modeling import adapted

HIGH = 1 - 2**-53


def random_rows(rows: int, words: int, sharpness: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(words)
    return (torch.randn(rows, words, generator=generator) * sharpness).softmax(-1)


@pytest.mark.parametrize("words", [24, 256, 257, 1024, 50_257])
def test_a_draw_inverts_the_cumulative_distribution(words: int) -> None:
    probabilities = random_rows(40, words)
    uniforms = torch.rand(40, 1, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    cumulative = probabilities.double().cumsum(-1)
    place = draw(probabilities, uniforms)
    share = (cumulative / cumulative[:, -1:]).gather(1, place)
    own = probabilities.double().gather(1, place)
    assert bool((share + 1e-6 >= uniforms).all()) and bool((share - own - 1e-6 <= uniforms).all())


def test_draws_have_the_frequencies_of_the_distribution() -> None:
    probabilities = random_rows(1, 600, 1.0)
    count = 60_000
    uniforms = (torch.arange(count, dtype=torch.float64)[:, None] + 0.5) / count  # one in every cell
    drawn = draw(probabilities.expand(count, -1), uniforms)[:, 0].bincount(minlength=600) / count
    assert float((drawn - probabilities[0]).abs().max()) <= 1.01 / count


@pytest.mark.parametrize("words", [24, 300, 1024])
def test_a_word_without_probability_is_never_drawn_even_at_the_ends(words: int) -> None:
    probabilities = random_rows(64, words)
    probabilities[:, : words // 3] = 0
    probabilities[:, -words // 3 :] = 0
    for uniform in (0.0, 1e-300, 0.5, HIGH):
        place = draw(probabilities, torch.full((64, 1), uniform, dtype=torch.float64))
        assert bool((probabilities.gather(1, place) > 0).all())
    alone = torch.zeros(2, words).index_fill_(1, torch.tensor([words - 1]), 1.0)
    assert draw(alone, torch.tensor([[0.0], [HIGH]], dtype=torch.float64)).tolist() == [[words - 1]] * 2


def test_a_row_that_is_not_finite_gets_some_word_and_leaves_the_others_alone() -> None:
    probabilities = random_rows(3, 300)
    uniforms = torch.tensor([[0.2], [0.4], [0.9]], dtype=torch.float64)
    expected = draw(probabilities, uniforms)
    probabilities[1] = torch.nan
    found = draw(probabilities, uniforms)
    assert torch.equal(found[[0, 2]], expected[[0, 2]]) and 0 <= int(found[1]) < 300


def test_a_draw_is_its_rows_own() -> None:
    probabilities = random_rows(33, 5_000)
    uniforms = torch.rand(33, 1, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    together = draw(probabilities, uniforms)
    for row in range(33):
        assert torch.equal(
            draw(probabilities[row : row + 1], uniforms[row : row + 1]), together[row : row + 1]
        )


def test_a_cache_with_room_holds_what_a_growing_one_does() -> None:
    generator = torch.Generator().manual_seed(1)
    roomy, growing = roomy_cache(9), DynamicCache()
    for rows, tokens in ((3, 4), (2, 1), (2, 1), (2, 3)):
        for layer in (0, 1):
            states = [torch.randn(rows, 2, tokens, 5, generator=generator) for _ in range(2)]
            found, expected = (cache.update(*states, layer) for cache in (roomy, growing))
            assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
        assert roomy.get_seq_length() == growing.get_seq_length()
        assert roomy.get_mask_sizes(1, 0) == growing.get_mask_sizes(1, 0)
        if rows == 3:
            for cache in (roomy, growing):
                cache.batch_select_indices(torch.tensor([0, 2]))
    layer = roomy.layers[0]
    assert layer.keys.data_ptr() == layer._buffers[0].data_ptr()  # a view, no copy


PROMPTS = [[4, 5, 6, 7], [8], [9, 10], [11, 12, 13], [14], [15, 16], [17], [18, 19, 20]]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_rows_that_have_ended_are_left_out_and_nothing_else_changes(
    kind: str, tiny: Any, lora_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    uniforms = torch.rand(8, 30, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with adapted(tiny(kind), lora_of(kind), ("policy",)) as model:
        whole = model.hidden

        def counted(ids: Any, *others: Any, **named: Any) -> Any:
            sizes.append(len(ids))
            return whole(ids, *others, **named)

        monkeypatch.setattr(model, "hidden", counted)
        short = sample(model, PROMPTS, 30, uniforms, states=True)
        computed, sizes[:] = list(sizes), []
        full = sample(model, PROMPTS, 30, uniforms, width=4, states=True)
    assert set(sizes) == {8} and len(sizes) == 30  # the plan's shape, whatever has ended
    assert computed == sorted(computed, reverse=True) and computed[0] == 8 and computed[-1] <= 4
    new = short.completions.shape[1]
    assert torch.equal(short.completions, full.completions[:, :new])
    assert torch.equal(short.completion_mask, full.completion_mask[:, :new])
    assert not full.completion_mask[:, new:].any()
    torch.testing.assert_close(short.logprobs, full.logprobs[:, :new], atol=1e-5, rtol=0)
    kept = short.completion_mask
    assert short.states is not None and full.states is not None
    torch.testing.assert_close(short.states[kept], full.states[:, :new][kept], atol=1e-4, rtol=0)
    assert torch.equal(short.ended, full.ended) and short.ended.any()


def test_the_states_are_those_that_the_tokens_were_drawn_from(tiny: Any, lora_of: Any) -> None:
    with adapted(tiny("gpt2"), lora_of("gpt2"), ("policy",)) as model, torch.no_grad():
        drawn = sample(model, PROMPTS, 6, torch.Generator().manual_seed(1), 0.7, states=True)
        ids = torch.cat([drawn.prompts, drawn.completions], 1)
        mask = torch.cat([drawn.prompt_mask, drawn.completion_mask.long()], 1)
        expected = model.hidden(ids, mask)[0][:, -drawn.completions.shape[1] - 1 : -1]
        assert sample(model, PROMPTS, 2, torch.Generator().manual_seed(1)).states is None
    kept = drawn.completion_mask
    assert drawn.states is not None
    torch.testing.assert_close(drawn.states[kept], expected[kept], atol=1e-4, rtol=0)


def test_a_generator_stands_for_the_uniforms_it_makes(tiny: Any, lora_of: Any) -> None:
    uniforms = torch.rand(8, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    with adapted(tiny("llama"), lora_of("llama"), ("policy",)) as model:
        found = sample(model, PROMPTS, 6, torch.Generator().manual_seed(4))
        expected = sample(model, PROMPTS, 6, uniforms)
    assert torch.equal(found.completions, expected.completions)

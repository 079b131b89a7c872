#!/usr/bin/env python3
"""Countdown with three numbers: data, tokenizer, training and held-out evaluation.

A puzzle is a prompt ("36,84,23,25:": make 25 from 36, 84 and 23) and a derivation of two
operations ("84-36=48,48-23=25"), padded with <eos>. The prompt is given, the answer is
masked. Numbers lie within 1..99, targets within 10..99, results are non-negative integers.

    countdown.py data       writes heldout.jsonl and the tokenizer files
    countdown.py train      trains and exports, from data of another seed
    countdown.py evaluate   answers heldout.jsonl by each commit order
"""
import json

import numpy as np
import torch
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers,
                        processors)

from denoiser import (POLICIES, arguments, decode, llada_config, load, train,
                      write_atomically, write_json)
from evaluate import COUNTDOWN_COMMON as COMMON, COUNTDOWN_LENGTH as ANSWER, countdown_correct

HELDOUT_SEED = 20_000
HELDOUT_SHARE = 20    # one puzzle in 20, chosen by hash, is never trained on
TARGETS = (10, 99)
PROMPT = 9            # tokens of every prompt, with <bos>; ANSWER positions follow
# Token ids: the digits are 0-9, the pairs of digits "00".."99" 10-109.
SIGNS = "+-*/=,:"
SIGN = {c: 110 + i for i, c in enumerate(SIGNS)}
BOS, EOS, MASK, VOCAB = 117, 118, 119, 120

# The derivations in the order of a depth-first search: each pair of numbers, each operation
# on it, each operation on the number left over and the result.
SEARCH = [(i, j, 3 - i - j, p, q) for i, j in ((0, 1), (0, 2), (1, 2))
          for p in range(4) for q in range(4)]


# --- puzzles ----------------------------------------------------------------------------

def calculate(a, b, op):
    """(left, right, result) of a op b, the larger number first where the order matters;
    the result is -1 where a division leaves a remainder or an operand is no result."""
    high, low = np.maximum(a, b), np.minimum(a, b)
    if op == 0:
        left, right, result = a, b, a + b
    elif op == 1:
        left, right, result = high, low, high - low
    elif op == 2:
        left, right, result = a, b, a * b
    else:
        divisor = np.maximum(low, 1)
        exact = (low > 0) & (high % divisor == 0)
        left, right, result = high, low, np.where(exact, high // divisor, -1)
    return left, right, np.where(np.minimum(a, b) < 0, -1, result)


def derive(numbers):
    """For numbers [n, 3], all derivations in the order of SEARCH: [n, 48, 8] of the values
    a, op, b, a op b, c, op, d, c op d; the last is -1 where a derivation is not allowed."""
    out = np.empty((len(numbers), len(SEARCH), 8), np.int64)
    for k, (i, j, rest, p, q) in enumerate(SEARCH):
        a, b, r = calculate(numbers[:, i], numbers[:, j], p)
        c, d, s = calculate(numbers[:, rest], r, q)
        for place, value in enumerate((a, p, b, r, c, q, d, s)):
            out[:, k, place] = value
    return out


def key(numbers, target):
    """One number per puzzle, the same for every order of its numbers."""
    s = np.sort(numbers, 1)
    return ((s[:, 0] * 100 + s[:, 1]) * 100 + s[:, 2]) * 100 + target


def held_out(keys):
    return (keys * 2654435761 % 2 ** 32 >> 16) % HELDOUT_SHARE == 0


def puzzles(rng, count, heldout, share, excluded):
    """About `count` random puzzles (numbers [n, 3], derivations [n, 8]) of the training or the
    held-out share, each with the first derivation of the search.

    Numbers are uniform; every target they reach makes a puzzle. Of the targets that are not
    COMMON so many are dropped that COMMON ones are `share` of all, and all others 1 - share.
    """
    numbers = rng.integers(1, 100, size=(count, 3))
    all_ways = derive(numbers)
    low, high = TARGETS
    keep = np.full(high + 1, 1.0)
    ratio = len(COMMON) / (high - low + 1 - len(COMMON)) * (1 - share) / share
    keep[:] = min(1, ratio)
    keep[list(COMMON)] = min(1, 1 / ratio)
    seen = np.zeros((count, high + 1), bool)
    rows, ways = np.arange(count), []
    for k in range(len(SEARCH)):
        t = all_ways[:, k, 7]
        ok = (t >= low) & (t <= high)
        t = np.where(ok, t, low)
        ok &= ~seen[rows, t]
        seen[rows[ok], t[ok]] = True
        ok &= rng.random(count) < keep[t]
        ways.append(ok)
    who, which = np.nonzero(np.stack(ways, 1))
    order = rng.permutation(len(who))
    numbers, found = numbers[who[order]], all_ways[who[order], which[order]]
    keys = key(numbers, found[:, 7])
    ok = (held_out(keys) == heldout) & ~np.isin(keys, excluded)
    return numbers[ok], found[ok]


def read_puzzles(path):
    """The (input, output) lines of a file in the layout of heldout.jsonl."""
    with open(path) as f:
        return [json.loads(line) for line in f]


def read_excluded(path):
    if not path:
        return np.empty(0, np.int64)
    values = np.array([[int(v) for v in r["input"].split(",")] for r in read_puzzles(path)])
    return key(values[:, :3], values[:, 3])


def texts(numbers, ways):
    """[(input, output)] as text."""
    return [(",".join(map(str, [*n, w[7]])),
             f"{w[0]}{SIGNS[w[1]]}{w[2]}={w[3]},{w[4]}{SIGNS[w[5]]}{w[6]}={w[7]}")
            for n, w in zip(numbers.tolist(), ways.tolist())]


# --- tokens -----------------------------------------------------------------------------

def write_tokenizer(folder):
    """Byte-level BPE; a number is cut into pairs of digits from the left, each one token."""
    t = Tokenizer(models.BPE(
        vocab={str(d): d for d in range(10)} | {f"{d:02}": 10 + d for d in range(100)} | SIGN,
        merges=[(str(d // 10), str(d % 10)) for d in range(100)]))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\p{N}{1,2}|[^\p{N}]"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, special=True, normalized=False)
                          for s in ("<bos>", "<eos>", "<mask>")])
    t.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", BOS)])
    assert t.get_vocab_size() == VOCAB and t.token_to_id("<mask>") == MASK
    write_atomically(f"{folder}/tokenizer.json", t.save)
    write_json(f"{folder}/tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>", "eos_token": "<eos>",
        "pad_token": "<eos>", "mask_token": "<mask>", "add_bos_token": True})


def number_tokens(v):
    """[n, 2] token ids of the values [n]; -1 = none."""
    first = np.select([v < 10, v < 100, v < 1000], [v, 10 + v, 10 + v // 10], 10 + v // 100)
    second = np.select([v < 100, v < 1000], [-1, v % 10], 10 + v % 100)
    return np.stack([first, second], 1)


def encode(numbers, ways):
    """Token ids [n, PROMPT + ANSWER] and whether a place belongs to the first result."""
    sign = lambda c: np.full((len(ways), 1), SIGN[c])
    operation = lambda k: ways[:, k:k + 1] + SIGN["+"]
    value = lambda k: number_tokens(ways[:, k])
    prompt = np.concatenate([np.full((len(ways), 1), BOS)] + [
        part for k in range(3) for part in (number_tokens(numbers[:, k])[:, :1], sign(","))
    ] + [value(7)[:, :1], sign(":")], 1)
    parts = [value(0), operation(1), value(2), sign("="), value(3), sign(","),
             value(4), operation(5), value(6), sign("="), value(7)]
    answer = np.concatenate(parts, 1)
    result = np.zeros(answer.shape, bool)
    result[:, 6:8] = True
    second = ways[:, 4] == ways[:, 3]
    result[second, 9:11] = True
    result[~second, 12:14] = True
    order = np.argsort(answer < 0, 1, kind="stable")[:, :ANSWER]
    answer = np.take_along_axis(answer, order, 1)
    result = np.take_along_axis(result, order, 1) & (answer >= 0)
    answer = np.where(answer < 0, EOS, answer)
    return np.concatenate([prompt, answer], 1), result


# --- training data ----------------------------------------------------------------------

class Data:
    """Endless training batches of fresh puzzles.

    Answer positions are masked with a probability t, the root of a uniform number, so that
    the states early in a decoding, in which the way has to be found, come up often; `start`
    of the sequences are masked completely. In half of the rest the first result, which stands
    twice, is masked or kept in both places, so that it cannot be copied from the second one.
    In `result` of the sequences it is masked in both places and little else is: what is asked
    for there is arithmetic.
    """

    def __init__(self, seed, batch, share, start, result, excluded):
        self.rng, self.batch = np.random.default_rng(seed), batch
        self.start, self.only_result = start, result
        self.share, self.excluded = share, excluded
        self.tokens = np.empty((0, PROMPT + ANSWER), np.int64)
        self.result = np.empty((0, ANSWER), bool)

    def __call__(self, progress):
        r, n = self.rng, self.batch
        while len(self.tokens) < n:
            more = encode(*puzzles(r, 8192, False, self.share, self.excluded))
            self.tokens = np.concatenate([self.tokens, more[0]])
            self.result = np.concatenate([self.result, more[1]])
        clean, result = self.tokens[:n], self.result[:n]
        self.tokens, self.result = self.tokens[n:], self.result[n:]
        t = np.sqrt(r.random((n, 1)))
        kind = r.random(n)
        arithmetic = kind < self.only_result
        t[arithmetic] = 0.5 * r.random((arithmetic.sum(), 1)) ** 2
        t[kind > 1 - self.start] = 1
        masked = r.random((n, ANSWER)) < t
        tied = result & (r.random(n) < 0.5)[:, None]
        masked = np.where(tied, r.random((n, 1)) < t, masked)
        masked |= result & arithmetic[:, None]
        masked = np.concatenate([np.zeros((n, PROMPT), bool), masked], 1)
        return [(torch.from_numpy(clean), torch.from_numpy(masked))]


# --- evaluation -------------------------------------------------------------------------

def answers(model, tokenizer, rows, policy, seed=0):
    ids = [tokenizer.encode(r["input"] + ":").ids for r in rows]
    x = torch.tensor([p + [MASK] * ANSWER for p in ids])
    return [tokenizer.decode(out[:out.index(EOS)] if EOS in out else out)
            for out in decode(model, x, policy, seed)[:, PROMPT:].tolist()]


def groups(rows):
    """Puzzles with the targets of the public ones, and all others."""
    common = lambda r: int(r["input"].rpartition(",")[2]) in COMMON
    return {"common": [r for r in rows if common(r)], "other": [r for r in rows if not common(r)]}


def main():
    parser = arguments(__doc__.splitlines()[0], "examples/models/countdown")
    parser.add_argument("--common", type=float, default=0.5,
                        help="share of the puzzles that have one of the nine common targets")
    parser.add_argument("--start", type=float, default=0.15,
                        help="share of the sequences with the whole answer masked")
    parser.add_argument("--result", type=float, default=0.4,
                        help="share of the sequences with the first result and little else masked")
    parser.add_argument("--exclude", help="leave out the puzzles of this file")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    path = f"{a.out}/heldout.jsonl"
    excluded = read_excluded(a.exclude)
    if a.task == "data":
        write_tokenizer(a.out)
        tokenizer = Tokenizer.from_file(f"{a.out}/tokenizer.json")
        rng, rows = np.random.default_rng(HELDOUT_SEED), []
        for share in (0.999, 0.1):
            numbers, ways = puzzles(rng, 100_000, True, share, excluded)
            ids, _ = encode(numbers, ways)
            part = {}
            for (question, answer), row in zip(texts(numbers, ways), ids.tolist()):
                assert countdown_correct(question, answer)
                text = tokenizer.encode(f"{question}:{answer}").ids
                assert text + [EOS] * (PROMPT + ANSWER - len(text)) == row
                if (int(question.rpartition(",")[2]) in COMMON) == (share > 0.5):
                    part[question] = {"input": question, "output": answer}
            rows += list(part.values())[:300]

        def write(p):
            with open(p, "w") as f:
                f.writelines(json.dumps(r) + "\n" for r in rows)
        write_atomically(path, write)
        return
    rows, tokenizer = read_puzzles(path), Tokenizer.from_file(f"{a.out}/tokenizer.json")
    if a.task == "evaluate":
        model = load(a.out)
        for policy in POLICIES:
            for name, part in groups(rows).items():
                got = answers(model, tokenizer, part, policy)
                right = sum(countdown_correct(r["input"], g) for r, g in zip(part, got))
                same = sum(r["output"] == g for r, g in zip(part, got))
                print(f"{policy:10}  {name:6}  right {right}/{len(part)}  "
                      f"as the search {same}/{len(part)}", flush=True)
        return

    def progress_line(model):
        line = []
        for name, part in groups(rows).items():
            got = answers(model, tokenizer, part[:100], "confidence")
            right = sum(countdown_correct(r["input"], g) for r, g in zip(part, got))
            line.append(f"{name} {right}/{len(got)}")
        return "  ".join(line) + f"  e.g. {part[99]['input']} {got[99]}"

    config = llada_config(VOCAB, MASK, EOS, a.d_model, a.heads, a.layers, a.mlp, 128, 100)
    train(config, Data(a.seed, a.batch, a.common, a.start, a.result, excluded), a.out,
          a.minutes * 60, progress_line, lr=a.lr, seed=a.seed,
          export_every=a.export_every, init=a.init)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Sudoku: data, training and held-out evaluation of the bundled model.

One model fills 9x9 and 4x4 grids. A grid is written as its rows with "\\n" between them; "."
is the mask token, so a puzzle in the usual dot notation is already a masked text. Clues and
newlines are given, blanks are masked.

    sudoku.py data       writes heldout.csv and the tokenizer files
    sudoku.py train      trains and exports, from data of another seed
    sudoku.py evaluate   solves heldout.csv by each commit order
"""
import csv
import random
import time

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from denoiser import (POLICIES, arguments, decode, llada_config, load, train,
                      write_atomically, write_json)

# Token ids: the digits 1-9 are 0-8.
NEWLINE, BOS, EOS, MASK, VOCAB = 9, 10, 11, 12, 13
HELDOUT_SEED = 20_000


# --- grids ------------------------------------------------------------------------------

def units(box):
    """For each cell of a grid with box x box boxes, the row, column and box it lies in."""
    n = box * box
    return [(i // n, i % n, i // n // box * box + i % n // box) for i in range(n * n)]


UNITS = {2: units(2), 3: units(3)}


def solve(cells, box, limit, rng):
    """Up to `limit` completions of cells (0 = blank), by backtracking on the cell with the
    fewest candidates; candidates are tried in random order."""
    where, full = UNITS[box], (1 << box * box) - 1
    rows, cols, boxes = ([0] * (box * box) for _ in range(3))
    cells = list(cells)
    for i, v in enumerate(cells):
        if v:
            r, c, b = where[i]
            rows[r] |= 1 << v - 1
            cols[c] |= 1 << v - 1
            boxes[b] |= 1 << v - 1
    empty = [i for i, v in enumerate(cells) if not v]
    rng.shuffle(empty)
    found = []

    def search():
        best, best_free, best_count = -1, 0, 99
        for k, i in enumerate(empty):
            r, c, b = where[i]
            free = full & ~(rows[r] | cols[c] | boxes[b])
            count = free.bit_count()
            if count < best_count:
                best, best_free, best_count = k, free, count
                if count < 2:
                    break
        if best < 0:
            found.append(list(cells))
            return len(found) >= limit
        if not best_free:
            return False
        i = empty[best]
        empty[best] = empty[-1]
        empty.pop()
        r, c, b = where[i]
        values = [v for v in range(box * box) if best_free >> v & 1]
        rng.shuffle(values)
        stop = False
        for v in values:
            bit = 1 << v
            rows[r] |= bit
            cols[c] |= bit
            boxes[b] |= bit
            cells[i] = v + 1
            stop = search()
            rows[r] ^= bit
            cols[c] ^= bit
            boxes[b] ^= bit
            if stop:
                break
        cells[i] = 0
        empty.append(i)
        return stop

    search()
    return found


def full_grid(box, rng):
    return solve([0] * box ** 4, box, 1, rng)[0]


def unique_puzzle(grid, box, clues, rng):
    """Blanks cells of a full grid in random order while the solution stays the only one,
    until `clues` are left; returns what it reached."""
    cells, order = list(grid), list(range(len(grid)))
    rng.shuffle(order)
    left = len(grid)
    # Blank many cells at once while that is safe: fewer checks.
    for chunk in ((30, 8, 4, 1) if box == 3 else (1,)):
        while order and left > clues:
            part = order[-min(chunk, left - clues):]
            trial = list(cells)
            for i in part:
                trial[i] = 0
            if len(solve(trial, box, 2, rng)) == 1:
                cells, left = trial, left - len(part)
                del order[-len(part):]
            elif chunk > 1:
                break
            else:
                order.pop()
    return cells


# --- held-out set -----------------------------------------------------------------------

def write_heldout(path):
    """100 puzzles each: 9x9 with 30 clues, 9x9 with 34, 4x4 with 6; one solution each."""
    rng = random.Random(HELDOUT_SEED)
    four = heldout_four()
    lines = ["Puzzle,Solution"]
    for box, clues, count in ((3, 30, 100), (3, 34, 100), (2, 6, 100)):
        while count:
            grid = full_grid(3, rng) if box == 3 else rng.choice(four)
            puzzle = unique_puzzle(grid, box, clues, rng)
            line = f"{''.join(map(str, puzzle))},{''.join(map(str, grid))}"
            if sum(map(bool, puzzle)) == clues and line not in lines:
                lines.append(line)
                count -= 1
    def write(p):
        with open(p, "w") as f:
            f.write("\n".join(lines) + "\n")
    write_atomically(path, write)


def all_four():
    """All 288 grids of size 4x4."""
    return sorted(solve([0] * 16, 2, 1000, random.Random(0)))


def heldout_four():
    """48 of them, kept out of training."""
    return random.Random(HELDOUT_SEED).sample(all_four(), 48)


def read_heldout(path):
    """{(size, clues): (puzzles, solutions)} as token tensors."""
    sets = {}
    with open(path) as f:
        for row in csv.DictReader(f):
            puzzle, solution = ([int(c) for c in row[k]] for k in ("Puzzle", "Solution"))
            key = (int(len(puzzle) ** 0.5), sum(map(bool, puzzle)))
            sets.setdefault(key, []).append((puzzle, solution))
    return {k: tuple(tokens(np.array(part)) for part in zip(*v)) for k, v in sets.items()}


def tokens(cells):
    """Cell values [batch, n*n], 0 = blank, to token ids with BOS and newlines."""
    n = int(cells.shape[1] ** 0.5)
    ids = np.full((len(cells), n, n + 1), NEWLINE)
    ids[:, :, :n] = np.where(cells == 0, MASK, cells - 1).reshape(-1, n, n)
    bos = np.full((len(cells), 1), BOS)
    return torch.from_numpy(np.concatenate([bos, ids.reshape(len(cells), -1)[:, :-1]], 1))


# --- training data ----------------------------------------------------------------------

class Data:
    """Endless training batches.

    A pool of solver-made 9x9 grids, each with a puzzle of one solution and few clues, is
    varied by the symmetries of Sudoku: digits renamed, bands, stacks, rows and columns
    permuted, transposed. Half of a batch keeps a random subset of cells; the other half
    keeps the puzzle's clues and a random number of further cells. Every few steps a small
    part of the step is 4x4.
    """

    def __init__(self, seed, batch, heldout, pool_seconds, four_share=0.06):
        self.np = np.random.default_rng(seed)
        self.batch, self.four_count = batch, max(1, round(batch * four_share * 4))
        rng = random.Random(seed)
        grids, puzzles, start = [], [], time.time()
        while time.time() - start < pool_seconds:
            grids.append(full_grid(3, rng))
            puzzles.append(unique_puzzle(grids[-1], 3, rng.randint(22, 30), rng))
        self.grids, self.clues = np.array(grids), np.array(puzzles) > 0
        four = [g for g in all_four() if g not in heldout_four()]
        self.four = np.array(four)
        self.heldout = {bytes(s) for (n, _), (_, sol) in heldout.items() if n == 9
                        for s in sol.numpy().astype(np.uint8)}
        self.step = 0
        print(f"pool: {len(grids)} grids, {self.clues.sum(1).mean():.1f} clues on average",
              flush=True)

    def permutation(self, count):
        """Row (or column) orders that keep the bands together."""
        bands = self.np.permuted(np.tile(np.arange(3), (count, 1)), axis=1)
        inner = self.np.permuted(np.tile(np.arange(3), (count, 3, 1)), axis=2)
        return (bands[:, :, None] * 3 + inner).reshape(count, 9)

    def __call__(self, progress):
        count, r = self.batch, self.np
        pick = r.integers(len(self.grids), size=count)
        both = np.stack([self.grids[pick], self.clues[pick]], 1).reshape(count, 2, 9, 9)
        rows, cols = self.permutation(count), self.permutation(count)
        both = np.take_along_axis(both, rows[:, None, :, None], 2)
        both = np.take_along_axis(both, cols[:, None, None, :], 3)
        flip = r.random(count) < 0.5
        both[flip] = both[flip].swapaxes(2, 3)
        digits = r.permuted(np.tile(np.arange(1, 10), (count, 1)), axis=1)
        cells = np.take_along_axis(digits, both[:, 0].reshape(count, 81) - 1, 1)
        clue = both[:, 1].reshape(count, 81) > 0
        # Cells kept: from many, at the very start, to few.
        low = 22 if progress > 0.1 else round(60 - 380 * progress)
        keep = r.integers(low, 79, size=count)
        puzzle = r.random(count) < 0.5
        score = r.random((count, 81)) + (clue & puzzle[:, None])
        rank = (-score).argsort(1).argsort(1)
        blank = rank >= np.where(puzzle, np.maximum(keep, clue.sum(1)), keep)[:, None]
        parts = [self.part(cells, blank)]
        self.step += 1
        if self.step % 4 == 0:
            cells = self.four[r.integers(len(self.four), size=self.four_count)]
            rank = r.random(cells.shape).argsort(1)
            parts.append(self.part(cells, rank >= r.integers(3, 16, size=(len(cells), 1))))
        return parts

    def part(self, cells, blank):
        clean = tokens(cells)
        if clean.shape[1] == 90:
            for row in clean.numpy().astype(np.uint8):
                assert bytes(row) not in self.heldout, "a held-out solution came up"
        return clean, tokens(np.where(blank, 0, cells)) == MASK


# --- files ------------------------------------------------------------------------------

def write_tokenizer(folder):
    """Byte-level BPE without merges; "." is the mask token."""
    vocab = {str(d): d - 1 for d in range(1, 10)} | {"Ċ": NEWLINE}
    t = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, special=True, normalized=False)
                          for s in ("<bos>", "<eos>", ".")])
    t.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", BOS)])
    assert t.get_vocab_size() == VOCAB and t.token_to_id(".") == MASK
    assert t.encode("5.\n1").ids == [BOS, 4, MASK, NEWLINE, 0]
    write_atomically(f"{folder}/tokenizer.json", t.save)
    write_json(f"{folder}/tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>", "eos_token": "<eos>",
        "pad_token": "<eos>", "mask_token": ".", "add_bos_token": True})


# --- evaluation -------------------------------------------------------------------------

def solved(model, puzzles, solutions, policy, seed=0):
    return (decode(model, puzzles, policy, seed) == solutions).all(1)


def main():
    parser = arguments(__doc__.splitlines()[0], "examples/models/sudoku")
    parser.add_argument("--pool-seconds", type=float, default=120,
                        help="time spent on making grids and puzzles")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    path = f"{a.out}/heldout.csv"
    if a.task == "data":
        write_heldout(path)
        write_tokenizer(a.out)
        return
    heldout = read_heldout(path)
    if a.task == "evaluate":
        model = load(a.out)
        print("size  clues  " + "  ".join(f"{p:>10}" for p in POLICIES))
        for (n, clues), (puzzles, solutions) in heldout.items():
            rates = [solved(model, puzzles, solutions, p).sum().item() for p in POLICIES]
            print(f"{n}x{n}   {clues:5d}  " +
                  "  ".join(f"{r:6d}/{len(puzzles)}" for r in rates), flush=True)
        return

    def progress_line(model):
        return "  ".join(
            f"{n}x{n} {clues} clues: {solved(model, p[:20], s[:20], 'confidence').sum()}/20"
            for (n, clues), (p, s) in heldout.items())

    config = llada_config(VOCAB, MASK, EOS, a.d_model, a.heads, a.layers, a.mlp, 128, 100)
    data = Data(a.seed, a.batch, heldout, a.pool_seconds)
    train(config, data, a.out, a.minutes * 60, progress_line, lr=a.lr, seed=a.seed,
          export_every=a.export_every, init=a.init)


if __name__ == "__main__":
    main()

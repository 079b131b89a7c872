#!/usr/bin/env python3
"""Writes tests/tokenizer/NAME/{tokenizer.json,vectors.json} with the `tokenizers` package (0.20 or later).

Usage: python3 tests/tokenizer/make_vectors.py
Every folder is a small tokenizer of another kind and the ids that the reference library gives for random
texts: words, digits, white space runs, combining marks, emoji, several scripts, added tokens.
The tests only read the files; nothing here runs in ./check.
"""
import json
import os
import random

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)

HERE = os.path.dirname(os.path.abspath(__file__))
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
LING = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]"
        r"|\s+(?!\S)|\s+")
STORY = r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"

WORDS = ("the a cat sat on mat once upon time there was little girl named Lily she loved to play I've we'LL they'd it's "
         "don't def return import print hello world naïve café e\u0301 déjà Straße Ελλάδα Привет мир 你好 世界 "
         "こんにちは 한국어 שלום مرحبا ไทย हिन्दी").split()
BITS = ["0", "1", "42", "1234", "56.7", "²", "½", "٣", "Ⅷ", ".", ",", "!", "?", "...", "!!!", "(", ")", "'", "\"", "-",
        "--", "_", "a_b", "=", "+", "<", ">", "|", "<|im_start|>", "<|im_end|>", "<bos>", "<eos>", "<pad>", "[X]",
        "word", "wordy", "🙂", "👍🏽", "👩‍👩‍👧", "é", "e\u0301", "ñ", "n\u0303", "Å", "\u212b", "ﬁ", "\u1e9b\u0323", "€",
        "\u200b", "\ufeff", "ß", "İ", "ǆ", "𝕏", "𐍈"]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", " \n ", "\u00a0", "\u3000", "\u2003", "\u1680", "\u180e", "\x85",
          "\u2028", "\x0b", "\x0c", "\x1c", "      \t "]


def texts(seed, n):
    r = random.Random(seed)
    out = ["", " ", "\n", "a", "Hello world", " Hello world", "I've we'LL they'd", "1234 + 56.7",
           "def f(x):\n    return x  # ok\n\n", "\n\n  \t a  b   ", "nai\u0308ve cafe\u0301", "你好，世界！", "🙂👍🏽",
           "a\u00a0b\u3000c", "\r\n\r\nx", "!!!\n\n\nok", "'s 'S ' s", "x" * 70, " " * 40, "ab" * 50 + " " * 9]
    while len(out) < n:
        s = ""
        for _ in range(r.randint(1, 14)):
            s += r.choice(r.choice([WORDS, WORDS, BITS, SPACES, [" "]]))
        out.append(s)
    return out


def corpus():
    return [t for t in texts(7, 600)] + ["the cat sat on the mat and she said hello to the little girl " * 4]


def train(t, size, specials, alphabet=True):
    t.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=size, special_tokens=specials, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()) if alphabet else []))
    return t


def bos(t, suffix=""):
    t.post_processor = processors.TemplateProcessing(
        single="<bos> $A" + suffix, special_tokens=[(s, t.token_to_id(s)) for s in ("<bos>", "<eos>")])


def story():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(STORY), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    train(t, 420, ["<bos>", "<eos>", "<mask>"])
    bos(t)
    return t


def sudoku():
    t = Tokenizer(models.BPE(vocab={**{str(i + 1): i for i in range(9)}, "Ċ": 9}, merges=[]))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(x, special=True, normalized=False) for x in ("<bos>", "<eos>", ".")])
    bos(t)
    return t


def gpt2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    return train(t, 500, ["<pad>"])


def qwen(pattern=QWEN):
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    train(t, 520, ["<|im_start|>", "<|im_end|>"])
    t.add_tokens([AddedToken("word", single_word=True, normalized=False), AddedToken("[X]", lstrip=True, rstrip=True),
                  AddedToken("e\u0301t", normalized=True)])
    return t


def ling():
    t = qwen(LING)
    t.normalizer = normalizers.Sequence([normalizers.NFC()])
    return t


def digits():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                               pre_tokenizers.Split(" ", "merged_with_next"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.decoder = decoders.Sequence([decoders.ByteLevel()])
    train(t, 460, ["<bos>", "<eos>"])
    bos(t, " <eos>")
    return t


def behaviors():
    t = Tokenizer(models.BPE())
    split = pre_tokenizers.Split
    t.pre_tokenizer = pre_tokenizers.Sequence([split(Regex(r"[.!?]"), "merged_with_previous"), split("_", "removed"),
                                               split(Regex(r"\p{L}|\s"), "contiguous"), split("a", "merged_with_next"),
                                               split(Regex(r"[^\r\n]+"), "isolated", invert=True),
                                               pre_tokenizers.Digits(individual_digits=False),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    return train(t, 440, ["<pad>"])


def chars():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    t.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    t.decoder = decoders.Fuse()
    t.train_from_iterator([c for c in corpus() if c.isascii()],
                          trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>"], show_progress=False))
    return t


def main():
    kinds = dict(story=story, sudoku=sudoku, gpt2=gpt2, qwen=qwen, ling=ling, digits=digits, behaviors=behaviors,
                 chars=chars)
    for k, (name, make) in enumerate(kinds.items()):
        t = make()
        d = json.loads(t.to_str())
        if name in ("gpt2", "digits"):  # the older way to write merges
            d["model"]["merges"] = [" ".join(m) if isinstance(m, list) else m for m in d["model"]["merges"]]
        t = Tokenizer.from_str(json.dumps(d))
        os.makedirs(f"{HERE}/{name}", exist_ok=True)
        with open(f"{HERE}/{name}/tokenizer.json", "w") as f:
            json.dump(d, f, ensure_ascii=True, separators=(",", ":"))
            f.write("\n")
        out = []
        if name == "sudoku":
            r = random.Random(5)
            cases = ["", "."] + ["".join(r.choice("123456789....\n") for _ in range(r.randint(1, 90))) for _ in range(40)]
        else:
            cases = texts(100 + k, 140)
        for s in cases:
            e = t.encode(s)
            o = dict(text=s, ids=e.ids, plain=t.encode(s, add_special_tokens=False).ids)
            # The library maps an added token's own letters back to bytes, which breaks those above U+007F; we do not.
            if "\ufffd" not in t.decode(e.ids):
                o["decoded"] = t.decode(e.ids)
            out.append(o)
        with open(f"{HERE}/{name}/vectors.json", "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(o, separators=(",", ":")) for o in out) + "\n]\n")
        print(name, len(d["model"]["vocab"]), "tokens", len(out), "texts")


if __name__ == "__main__":
    main()

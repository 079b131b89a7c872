#!/usr/bin/env python3
"""Short arithmetic word problems: data, tokenizer, training and held-out evaluation.

A problem is a prompt ("Tom has 14 apples. He gives 5 to Mia and then buys 3 more. How many
apples does Tom have now?") and a worked answer (" 14 - 5 = 9. 9 + 3 = 12. #### 12"), padded
with <eos>. The prompt is given, the answer is masked. Two or three operations; every number
stays within 1..40, so a wrong intermediate result is carried into all that follows it.

    story.py data       writes heldout.jsonl and the tokenizer files
    story.py train      trains and exports, from data of another seed
    story.py evaluate   answers heldout.jsonl by each commit order
"""
import hashlib
import json
import random
import time

import torch
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers,
                        processors, trainers)

from denoiser import (POLICIES, arguments, decode, llada_config, load, train,
                      write_atomically, write_json)

HELDOUT_SEED = 20_000
HELDOUT_SHARE = 20  # one problem text in 20, chosen by hash, is never trained on
LIMIT = 40          # largest number
GENERATION = 40     # answer positions in the evaluation
ANSWER_LIMIT = 39   # tokens of the longest answer, without <eos>
MASK, VOCAB = 2, 600

GIRLS = "Mia Ann Sara Lily Emma Rosa Nina Kate Zoe Ivy Lena Maya".split()
BOYS = "Tom Ben Jack Leo Sam Max Omar Paul Finn Hugo Adam Noah".split()
OBJECTS = ("apples pears plums lemons cookies marbles stamps coins books pens cards shells "
           "stickers balls eggs cakes beads buttons toys flowers nuts stones").split()
BOXES = "boxes bags packs baskets jars".split()
GROUPS = "friends cousins children neighbors".split()

# {n} the number, {he} He/She or the name, {o} the objects, {f} another name.
ADD = ["{he} buys {n} more.", "{he} finds {n} {o}.", "{f} gives {him} {n} {o}.",
       "{he} gets {n} more from {f}.", "Then {he_} wins {n} {o}.", "{he} picks up {n} more {o}.",
       "Later {f} brings {n} more."]
SUBTRACT = ["{he} gives {n} to {f}.", "{he} loses {n} of them.", "{he} sells {n} {o}.",
            "Then {he_} drops {n}.", "{f} takes {n} {o} from {him}.", "{he} leaves {n} at school.",
            "Later {he_} throws {n} away."]
ADD_BOXES = ["{he} buys {k} {box} of {n} {o} each.", "{f} brings {k} {box} with {n} {o} in each."]
DOUBLE = ["Then {he_} has {word} as many.", "After a week {he_} has {word} as many."]
START = ["{name} has {n} {o}.", "{name} owns {n} {o}.", "{name} starts with {n} {o}.",
         "There are {n} {o} on {name}'s table."]
START_BOXES = ["{name} has {k} {box} with {n} {o} in each.", "{name} buys {k} {box} of {n} {o} each."]
ASIDE = ["{f} has {n} {b}.", "{f} is {n} years old.", "It is day {n} of the month."]
ASK = ["How many {o} does {name} have now?", "How many {o} are left with {name}?",
       "How many {o} does {name} have in the end?"]


def attempt(rng):
    """One (prompt, answer, result), or None where a number leaves 1..LIMIT."""
    girl = rng.random() < 0.5
    name = rng.choice(GIRLS if girl else BOYS)
    he, him = ("She", "her") if girl else ("He", "him")
    other = rng.choice([x for x in GIRLS + BOYS if x != name])
    things, box = rng.choice(OBJECTS), rng.choice(BOXES)
    number = lambda top: rng.randint(2, 9) if rng.random() < 0.5 else rng.randint(2, top)
    story, work = [], []

    def say(templates, **values):
        subject = name if rng.random() < 0.2 else he
        story.append(rng.choice(templates).format(
            name=name, he=subject, he_=he.lower(), him=him, f=other, o=things, box=box,
            **values))

    def calculate(a, sign, b):
        result = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[sign]
        if not 1 <= result <= LIMIT:
            raise ValueError
        work.append(f"{a} {sign} {b} = {result}.")
        return result

    operations = rng.choice((2, 3))
    try:
        if rng.random() < 0.3:
            k, n = rng.randint(2, 9), rng.randint(2, 9)
            say(START_BOXES, k=k, n=n)
            value = calculate(k, "*", n)
        else:
            value = rng.randint(3, 25)
            say(START, n=value)
        if rng.random() < 0.1:
            say(ASIDE, n=rng.randint(5, 30),
                b=rng.choice([o for o in OBJECTS if o != things]))
        ending = rng.choices(("plain", "share", "together"), (6, 2, 2))[0]
        last = {"plain": 0, "share": 1, "together": 2}[ending]
        while len(work) < operations - last:
            room = operations - last - len(work)
            kind = rng.random()
            if kind < 0.40:
                n = number(15)
                say(ADD, n=n)
                value = calculate(value, "+", n)
            elif kind < 0.80:
                n = number(15)
                say(SUBTRACT, n=n)
                value = calculate(value, "-", n)
            elif kind < 0.90 and room > 1:
                k, n = rng.randint(2, 6), rng.randint(2, 9)
                say(ADD_BOXES, k=k, n=n)
                value = calculate(value, "+", calculate(k, "*", n))
            elif kind >= 0.90:
                k = rng.randint(2, 3)
                say(DOUBLE, word=("twice", "three times")[k - 2])
                value = calculate(value, "*", k)
        if ending == "plain":
            say(ASK)
        elif ending == "share":
            divisors = [k for k in range(2, 10) if value % k == 0]
            if not divisors:
                return None
            k = rng.choice(divisors)
            story.append(f"{he} shares all {things} equally among {k} {rng.choice(GROUPS)}.")
            story.append(f"How many {things} does each get?")
            value = calculate(value, "/", k)
        else:
            n = number(10)
            more = rng.random() < 0.5
            story.append(f"{other} has {n} {'more' if more else 'fewer'} {things} than {name}.")
            story.append(f"How many {things} do they have together?")
            value = calculate(value, "+", calculate(value, "+" if more else "-", n))
    except ValueError:
        return None
    if len(work) != operations:
        return None
    return " ".join(story), f"{' '.join(work)} #### {value}", value


def problems(seed, heldout):
    """An endless stream of (prompt, answer, result) of the training or the held-out share."""
    rng = random.Random(seed)
    while True:
        p = attempt(rng)
        if p and (hashlib.sha256(p[0].encode()).digest()[0] % HELDOUT_SHARE == 0) == heldout:
            yield p


def take(stream, count):
    return [next(stream) for _ in range(count)]


# --- tokenizer --------------------------------------------------------------------------

def write_tokenizer(folder, seed):
    """Byte-level BPE over all 256 bytes, trained on the generator's text; digits stand alone."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    special = [AddedToken(s, special=True, normalized=False) for s in ("<bos>", "<eos>", "<mask>")]
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=special, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    t.train_from_iterator((f"{p} {a}" for p, a, _ in take(problems(seed, False), 20_000)), trainer)
    t.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", 0)])
    assert t.get_vocab_size() == VOCAB and t.token_to_id("<mask>") == MASK
    write_atomically(f"{folder}/tokenizer.json", t.save)
    write_json(f"{folder}/tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>", "eos_token": "<eos>",
        "pad_token": "<eos>", "mask_token": "<mask>", "add_bos_token": True})


def read_tokenizer(folder):
    return Tokenizer.from_file(f"{folder}/tokenizer.json")


# --- training data ----------------------------------------------------------------------

class Data:
    """Endless training batches: fresh problems, sorted into batches of nearly equal length.

    Prompts within 8 tokens share a batch; the answer fills the rest up to a common length,
    so it has 40 to 47 positions and a model that does not depend on one generation length.

    Every result stands twice in an answer (again as an operand or after ####), so under
    independent masks it can mostly be copied and arithmetic is hardly ever asked for. In
    `by_value` of the sequences all digits of a number, in all its places, are therefore masked
    or kept together; in `suffix` of them the answer is masked from a random position on. The
    rest is masked independently.
    """

    def __init__(self, seed, batch, tokenizer, by_value, suffix):
        self.stream, self.tokenizer, self.batch = problems(seed, False), tokenizer, batch
        self.by_value, self.suffix, self.random = by_value, suffix, random.Random(seed)
        self.digits = {tokenizer.token_to_id(str(d)): str(d) for d in range(10)}
        self.torch = torch.Generator().manual_seed(seed)
        self.buckets = {}

    def __call__(self, progress):
        while True:
            chunk = take(self.stream, 64)
            prompts = self.tokenizer.encode_batch([p for p, _, _ in chunk])
            answers = self.tokenizer.encode_batch([" " + a for _, a, _ in chunk],
                                                  add_special_tokens=False)
            for p, a in zip(prompts, answers):
                if len(a.ids) <= ANSWER_LIMIT:
                    key = -(-len(p.ids) // 8) * 8
                    self.buckets.setdefault(key, []).append((p.ids, a.ids))
            fullest = max(self.buckets, key=lambda k: len(self.buckets[k]))
            if len(self.buckets[fullest]) >= self.batch:
                bucket = self.buckets[fullest]
                rows, self.buckets[fullest] = bucket[:self.batch], bucket[self.batch:]
                return [self.part(rows, fullest + ANSWER_LIMIT + 1)]

    def part(self, rows, length):
        clean = torch.full((len(rows), length), 1)
        answer = torch.ones(len(rows), length, dtype=torch.bool)
        for i, (p, a) in enumerate(rows):
            clean[i, :len(p) + len(a)] = torch.tensor(p + a)
            answer[i, :len(p)] = False
        t = torch.rand(len(rows), 1, generator=self.torch)
        masked = answer & (torch.rand(clean.shape, generator=self.torch) < t)
        for i, (p, a) in enumerate(rows):
            kind = self.random.random()
            if kind < self.by_value:
                for places in self.numbers(a):
                    masked[i, [len(p) + k for k in places]] = self.random.random() < t[i].item()
            elif kind < self.by_value + self.suffix:
                masked[i] = False
                masked[i, len(p) + self.random.randrange(len(a)):] = True
        return clean, masked

    def numbers(self, answer):
        """The places of the digits of each distinct number."""
        places, text, start = {}, "", 0
        for k, token in enumerate(answer + [1]):
            digit = self.digits.get(token)
            if digit:
                start, text = (start, text + digit) if text else (k, digit)
            elif text:
                places.setdefault(text, []).extend(range(start, k))
                text = ""
        return places.values()


# --- evaluation -------------------------------------------------------------------------

def read_heldout(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def answers(model, tokenizer, rows, policy, seed=0):
    """The decoded answer texts, with GENERATION positions each."""
    ids = [tokenizer.encode(r["prompt"]).ids for r in rows]
    texts = [None] * len(rows)
    for length in sorted({len(p) for p in ids}):
        group = [i for i, p in enumerate(ids) if len(p) == length]
        x = torch.tensor([ids[i] + [MASK] * GENERATION for i in group])
        for i, out in zip(group, decode(model, x, policy, seed)[:, length:].tolist()):
            texts[i] = tokenizer.decode(out[:out.index(1)] if 1 in out else out).strip()
    return texts


def score(rows, texts):
    """(final results right, whole answers right)."""
    final = sum(t.rpartition("#### ")[2] == str(r["result"]) for r, t in zip(rows, texts))
    return final, sum(t == r["answer"] for r, t in zip(rows, texts))


def main():
    parser = arguments(__doc__.splitlines()[0], "examples/models/story")
    parser.add_argument("--by-value", type=float, default=0.6,
                        help="share of sequences in which equal numbers are masked together")
    parser.add_argument("--suffix", type=float, default=0.15,
                        help="share of sequences masked from a random position on")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    path = f"{a.out}/heldout.jsonl"
    if a.task == "data":
        write_tokenizer(a.out, a.seed)
        tokenizer, rows = read_tokenizer(a.out), {}
        for prompt, answer, result in problems(HELDOUT_SEED, True):
            if len(tokenizer.encode(" " + answer, add_special_tokens=False).ids) <= ANSWER_LIMIT:
                rows[prompt] = {"prompt": prompt, "answer": answer, "result": result}
            if len(rows) == 200:
                break
        def write(p):
            with open(p, "w") as f:
                f.writelines(json.dumps(r) + "\n" for r in rows.values())
        write_atomically(path, write)
        return
    rows, tokenizer = read_heldout(path), read_tokenizer(a.out)
    if a.task == "evaluate":
        model = load(a.out)
        for policy in POLICIES:
            final, whole = score(rows, answers(model, tokenizer, rows, policy))
            print(f"{policy:10}  result {final}/{len(rows)}  whole answer {whole}/{len(rows)}",
                  flush=True)
        return

    def progress_line(model):
        some = sorted(rows, key=lambda r: len(r["prompt"]))[::4]
        texts = answers(model, tokenizer, some, "confidence")
        final, whole = score(some, texts)
        return f"result {final}/{len(some)}  whole {whole}/{len(some)}  e.g. {texts[0]!r}"

    config = llada_config(VOCAB, MASK, 1, a.d_model, a.heads, a.layers, a.mlp, 256, 1000)
    train(config, Data(a.seed, a.batch, tokenizer, a.by_value, a.suffix), a.out,
          a.minutes * 60, progress_line, lr=a.lr, seed=a.seed,
          export_every=a.export_every, init=a.init)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes tests/tokenizer/corpus: many texts of every script, and the ids that the reference library gives them.

Usage: python3 tests/tokenizer/corpus.py [DIR]     (tokenizers 0.23.3, Python 3.11: Unicode 14)
DIR holds the Qwen2 vocabulary as Dream publishes it (vocab.json, merges.txt, tokenizer_config.json); without it the
files ids-*.txt are left as they are. With transformers installed, its Qwen2 tokenizer must agree.

    lines.jsonl            one text a line, a JSON string
    nfc.jsonl              [number, text]: those that NFC changes, as they decode then
    invalid.txt            bytes that are not UTF-8, in hexadecimal, and the offset of the first wrong one
    {q,b,g}/tokenizer.json one small vocabulary trained here, under the patterns of Qwen2, Ling and GPT-2
    {q,b,g}/ids.txt        its ids of each text, space separated
    ids-qwen2-dream.txt    the same with Dream's vocabulary and files
    ids-ling-pattern.txt   and with the pattern of Ling, or that of GPT-2 without a normaliser
    ids-gpt2-pattern.txt

Every code point was assigned in Unicode 14 or before; nothing is a NUL. The library's NFC has tables so old that it
leaves 98 newer combining marks where they are instead of sorting them: those are not used (NEW_MARKS).
"""

import json
import os
import random
import sys
import tempfile
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from make_vectors import LING, QWEN

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
SPECIAL = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|> "
    "<|beginoftext|> <|mask|>"
).split()
ADDED = (
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> " "<|file_sep|>"
).split()
SENTENCES = """Once upon a time there was a little girl named Lily, who loved to play in the garden.
The quick brown fox jumps over the lazy dog; "quoted" text (in brackets) -- and so on...
Masked diffusion models fill in the blanks of a text in any order, a few tokens at a time.
Victor jagt zwölf Boxkämpfer quer über den großen Sylter Deich. Straßenbahnhaltestelle, Übermäßigkeit!
Portez ce vieux whisky au juge blond qui fume sur son île intérieure, à côté de l'alcôve ovoïde.
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío. ¿Añoraba a su querido cachorro? ¡Sí!
Luís argüia à Júlia que brações, fé, chá, óxido, pôr, zângão eram palavras do português.
Pchnąć w tę łódź jeża lub ośm skrzyń fig. Zażółć gęślą jaźń.
Příliš žluťoučký kůň úpěl ďábelské ódy. Nechť již hříšné saxofony ďáblů rozezvučí síň.
Árvíztűrő tükörfúrógép. Pijamalı hasta yağız şoföre çabucak güvendi. İstanbul'da ılık ışık.
Съешь же ещё этих мягких французских булок, да выпей чаю. Привет, мир!
Жебракують філософи при ґанку церкви в Гадячі, ще й шатро їхнє п'яне знаємо.
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Ο Σίσυφος ανεβάζει πάλι τον βράχο.
דג סקרן שט בים מאוכזב ולפתע מצא חברה. שָׁלוֹם עֲלֵיכֶם
نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر. مَرْحَبًا بِالعَالَمِ
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले विष्णुवतार भगवान श्रीराम।
বিষণ্ন ঔদাসীন্যে ঊষাবৌদি বাংলাভাষায় প্রচলিত নিখুঁত গল্পটি অর্ধেক বলতেই ঋতু।
யாமறிந்த மொழிகளிலே தமிழ்மொழி போல் இனிதாவது எங்கும் காணோம்.
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน
Tiếng Việt có rất nhiều dấu: ắ ằ ẳ ẵ ặ ế ề ể ễ ệ ố ồ ổ ỗ ộ.
视野无限广，窗外有蓝天。你好，世界！一二三四五六七八九十。
いろはにほへと ちりぬるを。わかよたれそ つねならむ。カタカナ、ｶﾀｶﾅ、漢字。
키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.
ღმერთსი შემვედრე, ნუთუ კვლა დამხსნას სოფლისა შრომასა. Կրնամ ապակի ուտել և ինծի անհանգիստ չըներ։
ሰማይ አይታረስ ንጉሥ አይከሰስ። ᚠᛇᚻ᛫ᛒᛦᚦ᛫ᚠᚱᚩᚠᚢᚱ᛫ᚠᛁᚱᚪ᛫ᚷᛖᚻᚹᛦᛚᚳᚢᛗ ᓀᐦᐃᔭᐍᐏᐣ ꓡꓲ ⠓⠑⠇⠇⠕""".split("\n")
CODE = [
    'def {a}({b}, *{c}, **kw):\n    """{a}."""\n    return [{b}[i] for i in range({n}) if i % {m} == 0]\n',
    "class {A}({B}):\n\tdef __init__(self):\n\t\tself.{a} = {{'{b}': {n}, \"{c}\": None}}\n",
    "static int {a}(const char *{b}, size_t n) {{\n    for (size_t i = 0; i < n; i++) {b}[i] ^= 0x{h};\n    return {b} ? -{n} : 0;\n}}\n",
    "#include <{a}.h>\n#define {U}({b}) (({b}) << {m} | {n}u)\n",
    "const {a} = async ({b}) => {{ await fetch(`/${{{b}}}/{n}`); }};\r\n",
    "if (!{a} && {b} !== '{c}') {{ console.log(\"{b}:\", {a}?.{c} ?? {n}); }}",
    "fn {a}<'a, T: {A}>({b}: &'a mut [T]) -> Option<&'a T> {{\n    {b}.iter().max_by_key(|x| x.{c}())\n}}\n",
    "SELECT {a}, COUNT(*) AS {b} FROM {c} WHERE id >= {n} AND name LIKE '%{a}%' GROUP BY 1;",
    "<div class=\"{a}-{b}\" id='{c}'>&nbsp;{n}&#x{h};<br/></div>\n<!-- {A} -->\n",
    'for f in *.{a}; do\n\t[ -f "$f" ] && {b} --{c}={n} "${{f%.*}}" | grep -E \'^[0-9]+$\' >> /tmp/{a}_{n}.log 2>&1\ndone\n',
    '{{"{a}":[{n},-{m}.5e-{m},true,null],"{b}":{{"{c}":"\\u00e9\\n"}}}}',
    "\\begin{{{a}}}\n  \\frac{{{n}}}{{\\sqrt{{{m}}}}} \\le \\sum_{{i=1}}^{{{b}}} x_i^2 \\quad \\text{{{c}}}\n\\end{{{a}}}\n",
    "(define ({a}-{b} x) (if (null? x) '() (cons (* {n} (car x)) ({a}-{b} (cdr x)))))",
    "{U} := $(wildcard {a}/*.c)\n{b}: {c}.o\n\t@$(CC) -O{m} -o $@ $^ # {n}\n",
    "# {A}\n\n* **{a}** - _{b}_ `{c}({n})`\n\n```c\nint {a};\n```\n| {a} | {b} |\n|---|--:|\n",
    "@@ -{n},{m} +{n},{m} @@\n-  {a} = {b};\n+  {a} = {c};\n",
    "https://www.{a}.org/{b}/{c}?q={n}&r=%20{h}#{A}",
    "{a}.{b}@{c}.co.uk, C:\\{A}\\{B}\\{n}.txt; ~/.{a}rc; v{m}.{n}.0-rc1+{h}",
]
NAMES = (
    "foo bar baz count index user_name getValue HTTPServer x1 tmp2 _private __all__ naïve größe 变量 данные MAX kLimit "
    "i j isValid parse to_string"
).split()
EMOJI = (
    "🙂 😀 ❤ ❤️ ✌🏽 👍 👍🏻 👍🏿 👩 👨‍👩‍👧‍👦 👩🏽‍💻 🏳️‍🌈 🏴‍☠️ 🇩🇪 🇯🇵 🇺🇸🇫🇷 1️⃣ #️⃣ 🧑🏾‍🤝‍🧑🏼 🫠 🦊 ☃ ☎️ ©️ ™ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👁️‍🗨️ ♀️ 🤷🏼‍♂️ ⛹🏿‍♀️"
).split()
SPACES = [
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "\u00a0",
    "\u3000",
    "\u2003",
    "\u2009",
    "\u202f",
    "\u205f",
    "\u1680",
    "\u2028",
    "\u2029",
    "\x85",
    "\x0b",
    "\x0c",
    "\n\n",
    "\n\n\n",
    " \n",
    "\n ",
    "\t\t",
    "    ",
    "\u180e",
    "\u200b",
    "\ufeff",
    "\x1c",
    "\x1f",
    "\x01",
    "\x7f",
    "\u200d",
    "\u00ad",
    "\u2060",
    " " * 17,
    "\n" * 9,
]
CONTRACTED = [
    "I{q}m",
    "you{q}re",
    "they{q}ve",
    "we{q}ll",
    "he{q}d",
    "don{q}t",
    "Lily{q}s",
    "{q}s",
    "{q}",
    "{q}{q}",
    "rock{q}n{q}roll",
    "l{q}eau",
    "o{q}clock",
    "{q}tis",
    "{q}re",
    "x{q}ſ",
    "{q}ſ",
    "{q}ve{q}d",
    "{q}sss",
    "{q}lll",
    "{q}v",
    "{q}r",
    "{q}l",
]
NUMBERS = (
    "0 1 42 007 1234 56.7 -3 1,000,000 3.14159 6.02e23 0xFF 1/2 ½ ² ³ ₂ ① Ⅷ ⅻ 五 ٣٤ ۵۶ १२ ๓ 𝟙𝟚 𝟗 ３ 10% $5 €20 №7 1st 2nd 12:30 "
    "2024-02-29 +49-30-123 v1.2.3 ߁ ᠓ 〇 ㊿ ㋀ 𐄇 𒐀"
).split()
STARTERS = list("aeiounycszAEIOUNgkdthαωιυЕИЗאשكو한ガかはதொ") + [
    "\u1100",
    "\u1161",
    "\u11a8",
    "가",
    "\u09c7",
    "\u0b92",
    "\u1b05",
    "\u0f71",
]
MARKS = [
    chr(c)
    for c in (
        0x300,
        0x301,
        0x302,
        0x303,
        0x304,
        0x306,
        0x307,
        0x308,
        0x30A,
        0x30C,
        0x323,
        0x327,
        0x328,
        0x331,
        0x338,
        0x340,
        0x341,
        0x343,
        0x344,
        0x345,
        0x34F,
        0x5BC,
        0x5B7,
        0x5C1,
        0x64B,
        0x654,
        0x93C,
        0x9BE,
        0x9D7,
        0xBBE,
        0xBD7,
        0xF72,
        0xF74,
        0xF80,
        0x1161,
        0x1175,
        0x11A8,
        0x11C2,
        0x1B35,
        0x3099,
        0x309A,
        0x1D165,
        0x1D16E,
        0x20D0,
        0xFE0F,
    )
]
NEW_MARKS = """7FD 898-89F 8CA-8D3 9FE C3C D3B-D3C EBA 1715 1ABF-1ACE 1DF6-1DFA A82C 10D24-10D27 10EAB-10EAC 10F46-10F50
10F82-10F85 11070 1133B 1145E 11839-1183A 1193D-1193E 11943 119E0 11A34 11A47 11A99 11D42 11D44-11D45 11D97 16FF0-16FF1
1E130-1E136 1E2AE 1E2EC-1E2EF"""
INVALID = [
    "ff",
    "fe",
    "c0 80",
    "c1 bf",
    "80",
    "bf",
    "c3",
    "e2 82",
    "e2 28 a1",
    "f0 9f 98",
    "f0 9f",
    "f0",
    "f0 80 80 80",
    "f0 8f bf bf",
    "f4 90 80 80",
    "f5 80 80 80",
    "f8 88 80 80 80",
    "fc 84 80 80 80 80",
    "ed a0 80",
    "ed bf bf",
    "ed a0 bd ed b8 80",
    "e0 80 80",
    "e0 9f bf",
    "c3 28",
    "c3 c3 a9",
    "e4 bd e4 bd a0",
    "a9",
    "f0 28 8c bc",
    "f0 90 28 bc",
    "f7 bf bf bf",
    "e2 82 ac 80",
]


def code_points():
    """Groups of assigned code points by the first word of their name, which is their script where they have one."""
    groups = {}
    skipped = set()
    for part in NEW_MARKS.split():
        first, last = (int(x, 16) for x in (part + "-" + part).split("-")[:2])
        skipped.update(range(first, last + 1))
    for c in sorted(set(range(1, 0x110000)) - skipped):
        category = unicodedata.category(chr(c))
        if category in ("Cn", "Cs", "Co"):
            continue
        groups.setdefault(unicodedata.name(chr(c), "CONTROL").split()[0].split("-")[0], []).append(chr(c))
    return groups


def scripts(r):
    """Each group in full, in pieces in which spaces and other characters are mixed; of the large ones, a sample."""
    for name, chars in sorted(code_points().items()):
        if name in ("CJK", "HANGUL", "TANGUT", "EGYPTIAN", "ANATOLIAN", "BAMUM", "NUSHU", "KHITAN", "CUNEIFORM", "YI"):
            chars = sorted(r.sample(chars, min(len(chars), 1600 if name in ("CJK", "HANGUL") else 150)))
        if len(chars) > 40:
            r.shuffle(chars)
        at = 0
        while at < len(chars):
            n = r.choice((1, 2, 3, 5, 6, 8, 10))
            piece = "".join(
                c + (r.choice(["", "", "", "", " ", " ", r.choice(SPACES), "1", "a", "."])) for c in chars[at : at + n]
            )
            yield r.choice(["", "", " ", "x"]) + piece
            at += n
    for c in (0xE000, 0xF8FF, 0xF0000, 0x10FFFD, 0xFFFD):
        yield f"a{chr(c)} {chr(c)}{chr(c)}b"


def code(r):
    pick = lambda: r.choice(NAMES)
    t = r.choice(CODE)
    return t.format(
        a=pick(),
        b=pick(),
        c=pick(),
        A=pick().title(),
        B=pick().title(),
        U=pick().upper(),
        n=r.randint(0, 9999),
        m=r.randint(1, 9),
        h=f"{r.randint(0, 65535):04x}",
    )


def words(r):
    w = r.choice(SENTENCES).split(" ")
    a = r.randrange(len(w))
    return " ".join(w[a : a + r.randint(1, 7)])


def spaces(r):
    return "".join(
        r.choice([r.choice(SPACES), r.choice(SPACES), words(r)[:9], r.choice(".!a1 ")]) for _ in range(r.randint(1, 9))
    )


def emoji(r):
    return "".join(r.choice([r.choice(EMOJI), r.choice(EMOJI), " ", "ok", "!"]) for _ in range(r.randint(1, 7)))


def contractions(r):
    out = []
    for _ in range(r.randint(1, 5)):
        w = r.choice(CONTRACTED).format(q=r.choice("''''’"))
        out.append(
            r.choice([w, w, w.upper(), w.title(), w.swapcase(), "".join(r.choice((c.lower(), c.upper())) for c in w)])
        )
    return r.choice([" ", " ", "", ", ", "\n"]).join(out)


def numbers(r):
    return "".join(r.choice(NUMBERS) + r.choice([" ", " ", "", "x", ", ", "+"]) for _ in range(r.randint(1, 6)))


def long_words(r):
    n = r.randint(30, 260)
    kind = r.randrange(5)
    if kind == 0:
        return "".join(r.choice("etaoinshrdlu") for _ in range(n))
    if kind == 1:
        return r.choice("a.=-_ é中🙂\n") * n
    if kind == 2:
        return "".join(chr(r.randint(0x4E00, 0x9FA5)) for _ in range(n // 3))
    if kind == 3:
        return "".join(r.choice("0123456789abcdef") for _ in range(n))
    return "".join(r.choice(NAMES).title() for _ in range(n // 8))


def specials(r):
    out = ""
    for _ in range(r.randint(1, 7)):
        s = r.choice(SPECIAL + ADDED)
        out += r.choice(
            [
                s,
                s,
                s,
                s[:-1],
                s[1:],
                s.upper(),
                s[: r.randint(1, len(s))],
                " " + s,
                s + "\n",
                words(r)[:12],
                " ",
                "é",
                "e\u0301",
                "<",
                "|>",
            ]
        )
    return out


def marks(r):
    out = ""
    for _ in range(r.randint(1, 6)):
        out += (
            r.choice(STARTERS)
            + "".join(r.choice(MARKS) for _ in range(r.choice((0, 1, 1, 2, 3, 4))))
            + r.choice(["", "", " ", "'", "\n"])
        )
    return out


def make_lines():
    assert unicodedata.unidata_version == "14.0.0", "the lists of code points are those of Unicode 14"
    r = random.Random(20260213)
    out = dict.fromkeys(["", " ", "\n", "a", "\u0301", "'", "''s", "\u0301'\u017f"] + SENTENCES)
    out.update(
        dict.fromkeys(
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n" + t
            for t in ("", "<|im_start|>user\nHi<|im_end|>\n", "<|mask|>" * 9)
        )
    )
    out.update(dict.fromkeys(scripts(r)))
    kinds = (
        (words, 1100),
        (code, 1100),
        (spaces, 900),
        (emoji, 500),
        (contractions, 600),
        (numbers, 500),
        (long_words, 120),
        (specials, 700),
        (marks, 900),
    )
    for kind, n in kinds:
        want = len(out) + n
        while len(out) < want:
            out[kind(r)] = None
    kinds = [kind for kind, _ in kinds if kind is not long_words]
    want = len(out) + 600
    while len(out) < want:
        out["".join(r.choice(kinds)(r)[: r.randint(1, 14)] for _ in range(r.randint(2, 4)))] = None
    return list(out)


def make_invalid():
    out = []
    for k, bad in enumerate(INVALID):
        before = ["", "ab", "é ", "<|im_start|>", "\n你", "🙂"][k % 6].encode()
        for b in (bytes.fromhex(bad), before + bytes.fromhex(bad), before + bytes.fromhex(bad) + b" ok"):
            try:
                b.decode()
                raise SystemExit(f"{b.hex()} is valid")
            except UnicodeDecodeError as e:
                out.append(f"{b.hex()} {e.start}")
    return list(dict.fromkeys(out))


def split(pattern):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def under(t, kind):
    """The same vocabulary under another pattern: q Qwen2, b Ling, g GPT-2 (which has no normaliser)."""
    t = Tokenizer.from_str(t.to_str())
    t.normalizer = normalizers.NFC() if kind != "g" else None
    t.pre_tokenizer = {
        "q": split(QWEN),
        "b": split(LING),
        "g": pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    }[kind]
    t.decoder = decoders.ByteLevel()
    # Setting a normaliser to None does nothing in some versions.
    d = json.loads(t.to_str())
    d["normalizer"] = d["normalizer"] if kind != "g" else None
    return Tokenizer.from_str(json.dumps(d))


def added(t, entries):
    for content, special in entries:
        token = AddedToken(content, special=special, normalized=False, lstrip=False, rstrip=False, single_word=False)
        (t.add_special_tokens if special else t.add_tokens)([token])
    return t


def small(lines):
    t = Tokenizer(models.BPE())
    t.normalizer, t.pre_tokenizer = normalizers.NFC(), split(QWEN)
    t.train_from_iterator(
        [s for s in lines if not any(x in s for x in SPECIAL + ADDED)],
        trainers.BpeTrainer(
            vocab_size=3000,
            min_frequency=3,
            show_progress=False,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        ),
    )
    return added(t, [(s, True) for s in SPECIAL] + [(s, False) for s in ADDED])


def published(folder):
    with open(os.path.join(folder, "tokenizer_config.json")) as f:
        config = json.load(f)["added_tokens_decoder"]
    with open(os.path.join(folder, "added_tokens.json")) as f:
        listed = json.load(f)
    t = Tokenizer(models.BPE.from_file(os.path.join(folder, "vocab.json"), os.path.join(folder, "merges.txt")))
    for i, a in sorted(config.items(), key=lambda x: int(x[0])):
        assert not (a["lstrip"] or a["rstrip"] or a["single_word"] or a["normalized"]) and listed[a["content"]] == int(
            i
        )
        added(t, [(a["content"], a["special"])])
        assert t.token_to_id(a["content"]) == int(i)
    assert len(listed) == len(config)
    return t


def encode(t, lines):
    out = [e.ids for e in t.encode_batch(lines, add_special_tokens=False)]
    normal = (lambda s: unicodedata.normalize("NFC", s)) if t.normalizer else (lambda s: s)
    for s, ids in zip(lines, out):
        assert t.decode(ids, skip_special_tokens=False) == normal(s), repr(s)
    return out


def save(path, rows):
    with open(os.path.join(HERE, path), "w", newline="") as f:
        f.writelines(row + "\n" for row in rows)


def save_ids(path, ids):
    save(path, (" ".join(map(str, row)) for row in ids))
    print(f"{path}: {sum(map(len, ids))} ids")


def transformers_agree(folder, lines, ids):
    try:
        from transformers import Qwen2TokenizerFast
    except ImportError:
        return print("transformers is not installed: not compared")
    with tempfile.TemporaryDirectory() as copied:
        for name in ("vocab.json", "merges.txt", "added_tokens.json"):
            os.symlink(os.path.join(os.path.abspath(folder), name), os.path.join(copied, name))
        with open(os.path.join(folder, "tokenizer_config.json")) as f:
            config = json.load(f)
        config["tokenizer_class"] = "Qwen2Tokenizer"
        del config["auto_map"]
        with open(os.path.join(copied, "tokenizer_config.json"), "w") as f:
            json.dump(config, f)
        t = Qwen2TokenizerFast.from_pretrained(copied)
        other = [t.encode(s, add_special_tokens=False) for s in lines]
    bad = [i for i, (a, b) in enumerate(zip(ids, other)) if a != b]
    print(f"transformers' Qwen2 tokenizer: {len(bad)} texts differ")
    for i in bad[:5]:
        print(repr(lines[i]), ids[i], other[i])
    assert not bad


def main():
    lines = make_lines()
    os.makedirs(HERE, exist_ok=True)
    save("lines.jsonl", (json.dumps(s, ensure_ascii=False) for s in lines))
    changed = [
        (i, unicodedata.normalize("NFC", s)) for i, s in enumerate(lines) if unicodedata.normalize("NFC", s) != s
    ]
    save("nfc.jsonl", (json.dumps(x, ensure_ascii=False) for x in changed))
    save("invalid.txt", make_invalid())
    print(len(lines), "texts,", len(changed), "changed by NFC")
    t = small(lines)
    for kind in "qbg":
        os.makedirs(os.path.join(HERE, kind), exist_ok=True)
        k = under(t, kind)
        save(f"{kind}/tokenizer.json", [json.dumps(json.loads(k.to_str()), separators=(",", ":"))])
        save_ids(f"{kind}/ids.txt", encode(k, lines))
    if len(sys.argv) > 1:
        t = published(sys.argv[1])
        ids = encode(under(t, "q"), lines)
        save_ids("ids-qwen2-dream.txt", ids)
        save_ids("ids-ling-pattern.txt", encode(under(t, "b"), lines))
        save_ids("ids-gpt2-pattern.txt", encode(under(t, "g"), lines))
        transformers_agree(sys.argv[1], lines, ids)


if __name__ == "__main__":
    main()

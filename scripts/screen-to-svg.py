#!/usr/bin/env python3
"""Turn a captured terminal screen into an SVG picture; standard library only.

    tmux -L shot -f /dev/null new-session -d -x 120 -y 40 'build/tabes'
    tmux -L shot send-keys s s s
    tmux -L shot capture-pane -p -e | scripts/screen-to-svg.py > docs/workbench.svg
"""
import re
import sys
import unicodedata
from html import escape

CELL_W, CELL_H, FONT = 8.4, 18, 14
FG, BG = "#d8dee9", "#16181d"
BASE = ["#1c1f26", "#d55e00", "#009e73", "#e0c040", "#5c8fd6", "#cc79a7", "#56b4e9", "#d8dee9",
        "#5b6270", "#ff8a50", "#4fd6a8", "#f0e442", "#8fb8f0", "#e6a8cc", "#9bd3f5", "#ffffff"]


def indexed(n):
    """xterm-256 colour number to #rrggbb."""
    if n < 16:
        return BASE[n]
    if n >= 232:
        return "#" + 3 * f"{8 + 10 * (n - 232):02x}"
    level = [0, 95, 135, 175, 215, 255]
    n -= 16
    return f"#{level[n // 36]:02x}{level[n // 6 % 6]:02x}{level[n % 6]:02x}"


def apply_sgr(params, st):
    p = [int(x) if x else 0 for x in re.split("[;:]", params)] or [0]
    i = 0
    while i < len(p):
        c = p[i]
        if c == 0:
            st.update(fg=None, bg=None, bold=False, dim=False, under=False, rev=False, italic=False)
        elif c in (1, 2, 3, 4, 7):
            st[{1: "bold", 2: "dim", 3: "italic", 4: "under", 7: "rev"}[c]] = True
        elif c in (22, 23, 24, 27):
            for k in {22: ("bold", "dim"), 23: ("italic",), 24: ("under",), 27: ("rev",)}[c]:
                st[k] = False
        elif c in (38, 48) and i + 2 < len(p) and p[i + 1] == 5:
            st["fg" if c == 38 else "bg"] = indexed(p[i + 2])
            i += 2
        elif c in (38, 48) and i + 4 < len(p) and p[i + 1] == 2:
            st["fg" if c == 38 else "bg"] = "#%02x%02x%02x" % tuple(p[i + 2:i + 5])
            i += 4
        elif 30 <= c <= 37 or 90 <= c <= 97:
            st["fg"] = BASE[c - 30 if c < 90 else c - 82]
        elif 40 <= c <= 47 or 100 <= c <= 107:
            st["bg"] = BASE[c - 40 if c < 100 else c - 92]
        elif c in (39, 49):
            st["fg" if c == 39 else "bg"] = None
        i += 1


def width(ch):
    if unicodedata.combining(ch):
        return 0
    return 2 if unicodedata.east_asian_width(ch) in "WF" else 1


def cells(line, st):
    """(column, text, style) runs of one captured line."""
    runs, col = [], 0
    for m in re.finditer(r"\x1b\[([0-9;:]*)m|\x1b[()][A-Z0-9]|[\x0e\x0f]|(.)", line):
        if m.group(1) is not None:
            apply_sgr(m.group(1), st)
        elif m.group(2):
            key = tuple(sorted(st.items(), key=lambda kv: kv[0]))
            if runs and runs[-1][2] == key and width(m.group(2)) == 1 and runs[-1][3] == col:
                runs[-1][1] += m.group(2)
                runs[-1][3] += 1
            else:
                runs.append([col, m.group(2), key, col + width(m.group(2))])
            col += width(m.group(2))
    return runs, col


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    st = {}
    apply_sgr("0", st)
    body, cols = [], 0
    for y, line in enumerate(lines):
        runs, n = cells(line, st)
        cols = max(cols, n)
        for x0, text, key, x1 in runs:
            s = dict(key)
            fg, bg = s["fg"] or FG, s["bg"]
            if s["rev"]:
                fg, bg = bg or BG, fg
            x, w = x0 * CELL_W, (x1 - x0) * CELL_W
            if bg:
                body.append(f'<rect x="{x:.1f}" y="{y * CELL_H}" width="{w + .3:.1f}" height="{CELL_H}" fill="{bg}"/>')
            if text.strip():
                style = f' fill="{fg}"' + (' font-weight="bold"' if s["bold"] else "")
                style += (' opacity=".6"' if s["dim"] else "") + (' text-decoration="underline"' if s["under"] else "")
                body.append(f'<text x="{x:.1f}" y="{y * CELL_H + 13.5}" textLength="{w:.1f}" '
                            f'lengthAdjust="spacingAndGlyphs" xml:space="preserve"{style}>{escape(text)}</text>')
    w, h = cols * CELL_W + 24, len(lines) * CELL_H + 24
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0f} {h}" width="{w:.0f}" height="{h}" '
          f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{FONT}">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{BG}"/><g transform="translate(12,12)">')
    print("\n".join(body))
    print("</g></svg>")


if __name__ == "__main__":
    main()

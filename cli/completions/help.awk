# help.awk - reads the help texts that generate.sh collects; bash.awk, zsh.awk and fish.awk write from these tables:
#
#   n_commands, command[c], summary[command]
#   n_options[command], and of each but --help: long, short (with dashes; short may be ""), about,
#   value: "" (takes none), "none" (nothing to suggest), "model", "policies", "themes", "file", or "words A B C"
#   n_policies, policy[p]; models (separated by blanks)
#
# What follows an option is told by its help where that says so ("one of ...", on|off, FILE); choice_words() has the rest.

# Choices that the help texts give in prose. tests/cli/test_docs.py compares them with what the program accepts.
function choice_words(cmd, opt) {
    if (opt == "--device") return "auto cpu cuda"
    if (opt == "--precision") return "auto f32 bf16"
    if (opt == "--color" && cmd == "export") return "plain entropy confidence tis order"
    if (opt == "--color") return "auto always never"
    if (opt == "--at") return "end"
    if (opt == "--task") return "sudoku countdown story gsm8k math500 humaneval mbpp text"
    if (opt == "--protocol") return "table2 table5 figure4"
    if (opt == "--nfe-accounting") return "ours paper"
    return ""
}

function value_kind(cmd, opt, meta) {
    if (meta == "") return ""
    if (choice_words(cmd, opt) != "") return "words " choice_words(cmd, opt)
    if (opt == "--model" || opt == "--judge-model") return "model"
    if (opt == "--policy" || opt == "--policies") return "policies"
    if (opt == "--theme") return "themes"
    if (meta == "on|off") return "words on off"
    if (meta == "FILE" || meta == "OUT" || meta == "PREFIX") return "file"
    return "none"
}

# What a command takes besides options.
function operand_kind(cmd) {
    if (cmd == "replay" || cmd == "verify" || cmd == "export") return "recording"
    if (cmd == "info") return "model"
    if (cmd == "policies") return "policy"
    if (cmd == "themes") return "themes"
    return "none"
}

# The first clause of a help text, for menus.
function first_clause(cmd, opt, text) {
    if (opt == "--precision") return "precision of activations"
    if (cmd == "export" && opt == "--to") return "format"
    if (cmd == "export" && opt == "--at") return "the state shown"
    if (opt == "--color") return cmd == "export" ? "how tokens are coloured" : "whether to draw in colour"
    sub(/([;:] | \().*/, "", text)
    gsub(/`/, "", text)
    sub(/,? at$/, "", text)
    return text
}

function end_option(    i) {
    if (!in_option) return
    i = n_options[cmd]
    about[cmd, i] = first_clause(cmd, long[cmd, i], text)
    if (long[cmd, i] == "--help") n_options[cmd]--
    in_option = 0
}

# "  -m, --model MODEL       text": one blank before what the option takes, several before its text.
function begin_option(line,    i, meta, at) {
    end_option()
    i = ++n_options[cmd]
    short[cmd, i] = line ~ /^  -/ ? substr(line, 3, 2) : ""
    line = substr(line, 7)
    at = index(line " ", " ")
    long[cmd, i] = substr(line, 1, at - 1)
    line = substr(line, at)
    meta = ""
    if (line ~ /^ [^ ]/) {
        line = substr(line, 2)
        at = index(line " ", " ")
        meta = substr(line, 1, at - 1)
        line = substr(line, at)
    }
    sub(/^ +/, "", line)
    text = line
    value[cmd, i] = value_kind(cmd, long[cmd, i], meta)
    in_option = 1
}

# Further lines of an option: prose, "one of a, b, c", or "name: what it is" under a bare "one of".
function continue_option(line,    i) {
    i = n_options[cmd]
    sub(/^ +/, "", line)
    if (text ~ /^one of/ && line ~ /^[a-z]+: /) {
        if (value[cmd, i] == "none") value[cmd, i] = "words"
        value[cmd, i] = value[cmd, i] " " substr(line, 1, index(line, ":") - 1)
    } else if (line ~ /^one of /) {
        sub(/^one of /, "", line)
        gsub(/,/, "", line)
        value[cmd, i] = "words " line
    }
    text = text (text == "" ? "" : " ") line
}

/^@/ { end_option(); part = $1; cmd = $2; next }
part == "" && /^  [a-z]/ {
    command[++n_commands] = $1
    line = $0
    sub(/^ +[a-z]+ +/, "", line)
    summary[$1] = line
    next
}
part == "@command" && /^  (-.,|   ) --/ { begin_option($0); next }
part == "@command" && in_option && /^            / { continue_option($0); next }
part == "@command" { end_option(); next }
part == "@policies" && /^[a-z]/ {
    policy[++n_policies] = $1
    next
}
part == "@models" { models = models (models == "" ? "" : " ") $1 }

# Copies the hand-written part of a completion file.
function put_prelude(    line) {
    while ((getline line < prelude) > 0) print line
    close(prelude)
}

# The words of a "words A B C" value.
function words_of(kind) {
    return substr(kind, 7)
}

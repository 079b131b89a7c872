# bash.awk - writes the completion file of bash from the tables of help.awk.

# The call that suggests values of a kind.
function suggestion(kind) {
    if (kind == "none") return "true"
    if (kind == "file") return "_tabes_files"
    if (kind == "model") return "_tabes_models"
    if (kind == "themes") return "_tabes_themes"
    if (kind == "recording") return "_tabes_recordings"
    if (kind == "policy") return "_tabes_words \"$_tabes_policies\""
    if (kind == "policies") return "_tabes_list \"$_tabes_policies\""
    return "_tabes_words '" words_of(kind) "'"
}

function put_options(    c, i, cmd, line) {
    print "\n# The options of a command.\n_tabes_options() {\n    case $1 in"
    for (c = 1; c <= n_commands; c++) {
        cmd = command[c]
        line = ""
        for (i = 1; i <= n_options[cmd]; i++)
            line = line (short[cmd, i] == "" ? "" : short[cmd, i] " ") long[cmd, i] " "
        print "    " cmd ") echo '" line "-h --help' ;;"
    }
    print "    esac\n}"
}

# Options of one command that take the same kind of value share a line.
function put_values_of(cmd,    i, k, kind, pattern, kinds, n_kinds, seen) {
    n_kinds = 0
    for (i = 1; i <= n_options[cmd]; i++) {
        kind = value[cmd, i]
        if (kind == "") continue
        if (!(kind in pattern)) kinds[++n_kinds] = kind
        pattern[kind] = pattern[kind] (pattern[kind] == "" ? "" : " | ") cmd "/" long[cmd, i]
        if (short[cmd, i] != "") pattern[kind] = pattern[kind] " | " cmd "/" short[cmd, i]
    }
    for (k = 1; k <= n_kinds; k++) print "    " pattern[kinds[k]] ") " suggestion(kinds[k]) " ;;"
}

function put_values(    c) {
    print "\n# Suggests what an option takes; false when it takes nothing.\n_tabes_value() {\n    case $1/$2 in"
    for (c = 1; c <= n_commands; c++) put_values_of(command[c])
    print "    *) return 1 ;;\n    esac\n    return 0\n}"
}

function put_operands(    c) {
    print "\n# What a command takes besides options.\n_tabes_operand() {\n    case $1 in"
    for (c = 1; c <= n_commands; c++)
        if (operand_kind(command[c]) != "none")
            print "    " command[c] ") " suggestion(operand_kind(command[c])) " ;;"
    print "    esac\n}"
}

END {
    put_prelude()
    names = ""
    for (c = 1; c <= n_commands; c++) names = names (c > 1 ? " " : "") command[c]
    print "_tabes_commands='" names "'"
    names = ""
    for (p = 1; p <= n_policies; p++) names = names (p > 1 ? " " : "") policy[p]
    print "_tabes_policies='" names "'"
    print "_tabes_bundled='" models "'"
    put_options()
    put_values()
    put_operands()
}

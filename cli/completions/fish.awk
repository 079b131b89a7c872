# fish.awk - writes the completion file of fish from the tables of help.awk.

function quote(text) {
    gsub(/\\/, "\\\\", text)
    gsub(/'/, "\\'", text)
    return "'" text "'"
}

# The switches that say what an option takes.
function takes(kind) {
    if (kind == "") return ""
    if (kind == "none") return " -x"
    if (kind == "file") return " -r -F"
    if (kind == "policies") return " -x -a '(__fish_complete_list , __tabes_policies)'"
    if (kind == "model" || kind == "themes") return " -x -a '(__tabes_" (kind == "model" ? "models" : kind) ")'"
    return " -x -a " quote(words_of(kind))
}

# Commands that share an option, with the same text and values, share its line.
function put_options(    c, i, k, cmd, rest, commands, n, order) {
    for (c = 1; c <= n_commands; c++) {
        cmd = command[c]
        for (i = 1; i <= n_options[cmd]; i++) {
            rest = (short[cmd, i] == "" ? "" : " -s " substr(short[cmd, i], 2)) " -l " substr(long[cmd, i], 3) \
                takes(value[cmd, i]) (about[cmd, i] == "" ? "" : " -d " quote(about[cmd, i]))
            if (!(rest in commands)) order[++n] = rest
            commands[rest] = commands[rest] " " cmd
        }
    }
    for (k = 1; k <= n; k++) print "complete -c tabes -n '__tabes_is" commands[order[k]] "'" order[k]
    print "complete -c tabes -l help -s h -d 'print the options'"
}

function put_operands(    c, kind, call) {
    for (c = 1; c <= n_commands; c++) {
        kind = operand_kind(command[c])
        if (kind == "none") continue
        call = kind == "themes" ? kind : kind == "policy" ? "policies" : kind "s"
        print "complete -c tabes -n 'not __tabes_first; and __tabes_is " command[c] "' -a '(__tabes_" call ")'"
    }
    print "complete -c tabes -n '__tabes_is help' -a " quote(names)
}

END {
    put_prelude()
    print "function __tabes_bundled\n    printf '%s\\tbundled model\\n' " models "\nend\n"
    print "function __tabes_policies\n    printf '%s\\n' \\"
    for (p = 1; p <= n_policies; p++) print "        " policy[p] (p < n_policies ? " \\" : "")
    print "end\n"
    for (c = 1; c <= n_commands; c++) {
        names = names (c > 1 ? " " : "") command[c]
        print "complete -c tabes -n __tabes_first -a " command[c] " -d " quote(summary[command[c]])
    }
    put_options()
    put_operands()
}

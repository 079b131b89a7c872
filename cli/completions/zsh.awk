# zsh.awk - writes the completion file of zsh from the tables of help.awk.

function quote(text) {
    gsub(/'/, "'\\''", text)
    return "'" text "'"
}

# Brackets and colons mean something inside an argument's specification.
function plain(text) {
    gsub(/[][\\:]/, "\\\\&", text)
    return text
}

# The action that suggests values of a kind.
function action(kind) {
    if (kind == "file") return "_files"
    if (kind == "model") return "__tabes_models"
    if (kind == "themes") return "__tabes_themes"
    if (kind == "recording") return "__tabes_recordings"
    if (kind == "policy") return "compadd - $_tabes_policies"
    if (kind == "policies") return "_sequence compadd - $_tabes_policies"
    if (kind == "none") return " "
    return "(" words_of(kind) ")"
}

function message(kind) {
    return kind ~ /^words/ ? "choice" : kind == "none" ? "value" : kind
}

# '(-m --model)'{-m+,--model=}'[text]:message:action'
function put_option(cmd, i,    kind, tail, names) {
    kind = value[cmd, i]
    tail = "[" plain(about[cmd, i]) "]"
    if (kind != "") tail = tail ":" message(kind) ":" action(kind)
    names = long[cmd, i] (kind == "" ? "" : "=")
    if (long[cmd, i] == "--policy") {
        print "        " quote("*" names tail) " \\"
    } else if (short[cmd, i] == "") {
        print "        " quote(names tail) " \\"
    } else {
        print "        '(" short[cmd, i] " " long[cmd, i] ")'{" short[cmd, i] (kind == "" ? "" : "+") "," names "}" \
            quote(tail) " \\"
    }
}

function put_command(cmd,    i, kind) {
    print "\n_tabes_" cmd "() {\n    _arguments -s -S \\"
    for (i = 1; i <= n_options[cmd]; i++) put_option(cmd, i)
    kind = operand_kind(cmd)
    print "        '(- *)'{-h,--help}'[print the options]'" (kind == "none" ? "" : " \\")
    if (kind != "none") print "        " quote("*:" kind ":" action(kind))
    print "}"
}

END {
    put_prelude()
    print "typeset -ga _tabes_commands _tabes_policies\ntypeset -g _tabes_bundled=" quote(models)
    print "_tabes_commands=("
    for (c = 1; c <= n_commands; c++) print "    " quote(command[c] ":" plain(summary[command[c]]))
    print ")\n_tabes_policies=("
    for (p = 1; p <= n_policies; p++) print "    " policy[p]
    print ")"
    for (c = 1; c <= n_commands; c++) put_command(command[c])
    print "\n_tabes \"$@\""
}

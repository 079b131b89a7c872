# bash completion for tabes

# Words that begin with what is typed.
_tabes_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# A list separated by commas: the last word of it.
_tabes_list() {
    local words=$1 done=''
    [[ $cur == *,* ]] && done=${cur%,*},
    mapfile -t COMPREPLY < <(compgen -P "$done" -W "$words" -- "${cur##*,}")
    compopt -o nospace
}

_tabes_files() {
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

# Recordings and folders; any file where there is none.
_tabes_recordings() {
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -X '!*.jsonl' -- "$cur"; compgen -d -- "$cur")
    ((${#COMPREPLY[@]})) || _tabes_files
}

# Bundled models, unless a path is being typed, and folders.
_tabes_models() {
    local folders
    _tabes_words "$_tabes_bundled"
    mapfile -t folders < <(compgen -d -- "$cur")
    ((${#COMPREPLY[@]} && ${#folders[@]})) || compopt -o filenames
    COMPREPLY+=("${folders[@]}")
}

_tabes_themes() {
    _tabes_words "$("${COMP_WORDS[0]}" themes 2>/dev/null | cut -f 1)"
    ((${#COMPREPLY[@]})) || _tabes_files
}

_tabes() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    COMPREPLY=()
    # `--option=value` arrives as three words.
    if [[ $cur == = ]]; then
        cur=''
    elif [[ $prev == = ]] && ((COMP_CWORD > 2)); then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then
        _tabes_words "$_tabes_commands help"
    elif ((COMP_CWORD == 1)); then
        _tabes_words "$(_tabes_options open) -V --version"
    elif [[ $command == help ]]; then
        _tabes_words "$_tabes_commands"
    else
        [[ $command == -* ]] && command=open
        if [[ $prev == -* ]] && _tabes_value "$command" "$prev"; then
            return
        elif [[ $cur == -* ]]; then
            _tabes_words "$(_tabes_options "$command")"
        else
            _tabes_operand "$command"
        fi
    fi
}

complete -F _tabes tabes

# From here on: made from the program's help texts (cli/completions).

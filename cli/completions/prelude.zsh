#compdef tabes
# zsh completion for tabes

__tabes_models() {
    _alternative "models:bundled model:($_tabes_bundled)" 'folders:checkpoint folder:_files -/'
}

__tabes_recordings() {
    _files -g '*.jsonl'
}

__tabes_themes() {
    local -a names
    names=(${(f)"$(_call_program themes $service themes 2>/dev/null | cut -f 1)"})
    _alternative "themes:theme:($names)" 'files:theme file:_files'
}

_tabes() {
    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
        _describe command _tabes_commands
    elif (( CURRENT == 2 )) && [[ $words[2] == --v* ]]; then
        compadd -- --version
    elif [[ $words[2] == -* ]]; then
        _tabes_open
    elif [[ $words[2] == help ]]; then
        _describe command _tabes_commands
    elif (( $+functions[_tabes_$words[2]] )); then
        shift words
        (( CURRENT-- ))
        _tabes_$words[1]
    fi
}

# From here on: made from the program's help texts (cli/completions).

# fish completion for tabes

# Whether the command on the line is one of those given; without one it is open.
function __tabes_is
    set -l words (commandline -opc)
    set -l command open
    if set -q words[2]; and not string match -q -- '-*' $words[2]
        set command $words[2]
    end
    contains -- $command $argv
end

function __tabes_first
    test (count (commandline -opc)) -eq 1
end

function __tabes_models
    __tabes_bundled
    __fish_complete_directories (commandline -ct) 'checkpoint folder'
end

function __tabes_recordings
    __fish_complete_suffix .jsonl
end

function __tabes_themes
    tabes themes 2>/dev/null | cut -f 1,2
end

complete -c tabes -f
complete -c tabes -n __tabes_first -l version -s V -d 'print the version'
complete -c tabes -n __tabes_first -a help -d 'the options of a command'

# From here on: made from the program's help texts (cli/completions).

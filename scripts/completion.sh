# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# How bash completes the command lines of podfence, podfenced and podfencectl. The build puts the words in front of
# it that the program itself prints (--help=bash): for each PROGRAM two arrays, PROGRAM_words (what may stand behind a
# command) and PROGRAM_values (behind an option). @file and @dir stand for names of files and folders.

# _podfence_offer CURRENT WORD...: what begins so, into COMPREPLY.
_podfence_offer() {
    local current=$1 word
    shift
    for word in "$@"; do
        case $word in
            @file) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current") ;;
            @dir) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$current") ;;
            "$current"*) COMPREPLY+=("$word") ;;
        esac
        [[ $word != @* ]] || compopt -o filenames 2>/dev/null
    done
}

_podfence_complete() {
    local program=${1##*/} current=${COMP_WORDS[COMP_CWORD]} before='' command option key i
    local -n words=${program}_words values=${program}_values
    local -a offer
    COMPREPLY=()
    command=$program
    # bash takes the sign of --option=value for a word of its own
    if [ "$current" = = ]; then
        current='' before=${COMP_WORDS[COMP_CWORD - 1]}=
    elif ((COMP_CWORD > 1)); then
        before=${COMP_WORDS[COMP_CWORD - 1]}
        [ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]}=
    fi
    # the command is the first word that is neither an option nor its value
    for ((i = 1; i < COMP_CWORD; i++)); do
        option=${COMP_WORDS[i]}
        if [ "${COMP_WORDS[i + 1]:-}" = = ]; then
            ((i += 2))
        elif [ -n "${values["$program $option"]+set}" ]; then
            ((++i))
        elif [[ $option != -* && -n ${words["$option"]+set} ]]; then
            command=$option
            # a subcommand stands right behind it
            [ -z "${words["$command ${COMP_WORDS[i + 1]:-}"]+set}" ] || ((i + 1 == COMP_CWORD)) ||
                command+=" ${COMP_WORDS[i + 1]}"
            break
        fi
    done
    for key in "$command $before" "$program $before" "$command ${before%=}" "$program ${before%=}"; do
        if [ -n "$before" ] && [ -n "${values["$key"]+set}" ]; then
            read -ra offer <<<"${values["$key"]}"
            _podfence_offer "$current" "${offer[@]}"
            return
        fi
    done
    read -ra offer <<<"${words["$command"]}"
    for i in "${!offer[@]}"; do
        # options where one is begun, and where nothing else may stand
        [[ $current = -* || ${offer[i]} != -* ]] || unset "offer[i]"
    done
    [ ${#offer[@]} -gt 0 ] || read -ra offer <<<"${words["$command"]}"
    _podfence_offer "$current" "${offer[@]}"
}

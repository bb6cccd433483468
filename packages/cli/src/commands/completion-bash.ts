import { type CompletionTables, type CompletionWord, isCommandFunction, singleQuoted } from './completion-tables.js';

/** The script for bash 3.2 and newer. What it has nothing to say about is completed as the name of a file. */
export function bashCompletion({ commands, options, values }: CompletionTables): string {
  const words = (table: ReadonlyMap<string, readonly CompletionWord[]>): string =>
    branches([...table].filter(([, found]) => found.length > 0).map(([path, found]) => [path, found.map(({ word }) => word)]));
  return `# sallyport completion for bash
_sallyport_commands() {
  case "$1" in
${words(commands)}
  esac
}

_sallyport_options() {
  case "$1" in
${words(options)}
  esac
}

# The choices of an option that takes a value; fails for one that takes none.
_sallyport_values() {
  case "$1" in
${branches([...values])}
    *) return 1 ;;
  esac
}

${isCommandFunction(commands)}

_sallyport() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="" option="" word next i
  COMPREPLY=()
  for (( i = 1; i < COMP_CWORD; i++ )); do
    word="\${COMP_WORDS[i]}"
    # bash takes --name=value apart.
    if [[ "$word" == "=" ]]; then continue; fi
    if [[ -n "$option" ]]; then option=""; continue; fi
    case "$word" in
      --) return ;;
      -*) if _sallyport_values "\${command:+$command }$word" > /dev/null; then option="$word"; fi ;;
      *)
        next="\${command:+$command }$word"
        if _sallyport_is_command "$next"; then command="$next"; fi ;;
    esac
  done
  if [[ "$current" == "=" ]]; then current=""; fi
  if [[ -n "$option" ]]; then
    COMPREPLY=( $(compgen -W "$(_sallyport_values "\${command:+$command }$option")" -- "$current") )
  elif [[ "$current" == -* ]]; then
    COMPREPLY=( $(compgen -W "$(_sallyport_options "$command")" -- "$current") )
  else
    COMPREPLY=( $(compgen -W "$(_sallyport_commands "$command")" -- "$current") )
  fi
}

complete -o default -F _sallyport sallyport
`;
}

function branches(table: readonly (readonly [string, readonly string[]])[]): string {
  return table.map(([path, words]) => `    ${singleQuoted(path)}) echo ${singleQuoted(words.join(' '))} ;;`).join('\n');
}

import { type CompletionTables, type CompletionWord, isCommandFunction, singleQuoted } from './completion-tables.js';

/** The script for zsh, to be sourced or put into a folder of `fpath` as `_sallyport`. */
export function zshCompletion({ commands, options, values }: CompletionTables): string {
  return `#compdef sallyport
# sallyport completion for zsh
_sallyport_commands() {
  case "$1" in
${described(commands)}
  esac
}

_sallyport_options() {
  case "$1" in
${described(options)}
  esac
}

# The choices of an option that takes a value; fails for one that takes none.
_sallyport_values() {
  case "$1" in
${[...values].map(([path, choices]) => `    ${singleQuoted(path)}) ${print(choices)} ;;`).join('\n')}
    *) return 1 ;;
  esac
}

${isCommandFunction(commands)}

_sallyport() {
  local command="" option="" word next i current="\${words[CURRENT]}"
  local -a found
  for (( i = 2; i < CURRENT; i++ )); do
    word="\${words[i]}"
    if [[ -n "$option" ]]; then option=""; continue; fi
    case "$word" in
      --) _files; return ;;
      -*=*) ;;
      -*) if _sallyport_values "\${command:+$command }$word" > /dev/null; then option="$word"; fi ;;
      *)
        next="\${command:+$command }$word"
        if _sallyport_is_command "$next"; then command="$next"; fi ;;
    esac
  done
  if [[ -z "$option" && "$current" == --*=* ]]; then
    option="\${current%%=*}"
    compset -P '*='
  fi
  if [[ -n "$option" ]]; then
    found=("\${(@f)$(_sallyport_values "\${command:+$command }$option")}")
    found=("\${(@)found:#}")
    if (( \${#found} )); then _describe 'value' found; else _files; fi
  elif [[ "$current" == -* ]]; then
    found=("\${(@f)$(_sallyport_options "$command")}")
    found=("\${(@)found:#}")
    _describe -o 'option' found
  else
    found=("\${(@f)$(_sallyport_commands "$command")}")
    found=("\${(@)found:#}")
    if (( \${#found} )); then _describe 'command' found; else _files; fi
  fi
}

if [[ "\${funcstack[1]}" == _sallyport ]]; then
  _sallyport "$@"
else
  compdef _sallyport sallyport
fi
`;
}

function described(table: ReadonlyMap<string, readonly CompletionWord[]>): string {
  return [...table]
    .filter(([, words]) => words.length > 0)
    .map(([path, words]) => `    ${singleQuoted(path)}) ${print(words.map(({ word, summary }) => `${escaped(word)}:${summary}`))} ;;`)
    .join('\n');
}

function print(lines: readonly string[]): string {
  return lines.length === 0 ? ':' : `print -rl -- ${lines.map(singleQuoted).join(' ')}`;
}

/** A colon ends the word. */
function escaped(word: string): string {
  return word.replaceAll(':', '\\:');
}

import type { CompletionTables, CompletionWord } from './completion-tables.js';

/** The script for fish 3 and newer. */
export function fishCompletion({ commands, options, values }: CompletionTables): string {
  return `# sallyport completion for fish
function __sallyport_commands
  switch "$argv[1]"
${described(commands)}
  end
end

function __sallyport_options
  switch "$argv[1]"
${described(options)}
  end
end

# The choices of an option that takes a value; fails for one that takes none.
function __sallyport_values
  switch "$argv[1]"
${[...values].map(([path, choices]) => `    case ${quoted(path)}\n      ${print(choices)}`).join('\n')}
    case '*'
      return 1
  end
end

function __sallyport_is_command
  contains -- "$argv[1]" ${[...commands.keys()]
    .filter((path) => path !== '')
    .map(quoted)
    .join(' ')}
end

function __sallyport_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l command ''
  set -l option ''
  set -l prefix ''
  for word in $words[2..-1]
    if test -n "$option"
      set option ''
      continue
    end
    set -l next (string trim -- "$command $word")
    switch "$word"
      case '--'
        __fish_complete_path "$current"
        return
      case '-*=*'
      case '-*'
        if __sallyport_values "$next" >/dev/null
          set option "$word"
        end
      case '*'
        if __sallyport_is_command "$next"
          set command "$next"
        end
    end
  end
  if test -z "$option"; and string match -q -- '--*=*' "$current"
    set option (string replace -r -- '=.*' '' "$current")
    set prefix "$option="
    set current (string replace -r -- '^[^=]*=' '' "$current")
  end
  if test -n "$option"
    set -l found (__sallyport_values (string trim -- "$command $option"))
    if test (count $found) -gt 0
      printf '%s\\n' "$prefix"$found
    else
      printf '%s\\n' "$prefix"(__fish_complete_path "$current")
    end
  else if string match -q -- '-*' "$current"
    __sallyport_options "$command"
  else
    set -l found (__sallyport_commands "$command")
    if test (count $found) -gt 0
      printf '%s\\n' $found
    else
      __fish_complete_path "$current"
    end
  end
end

complete -c sallyport -f -a '(__sallyport_complete)'
`;
}

function described(table: ReadonlyMap<string, readonly CompletionWord[]>): string {
  return [...table]
    .filter(([, words]) => words.length > 0)
    .map(([path, words]) => `    case ${quoted(path)}\n      ${print(words.map(({ word, summary }) => `${word}\t${summary}`))}`)
    .join('\n');
}

function print(lines: readonly string[]): string {
  return lines.length === 0 ? 'true' : `printf '%s\\n' ${lines.map(quoted).join(' ')}`;
}

/** Between single quotes fish reads a backslash before a quote or a backslash. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

import module, { createRequire } from 'node:module';

/** Takes the types out of a module. Throws a `SyntaxError` whose message begins with `FILE:LINE`. */
export type TypeStripper = (source: string, file: string) => string;

/** The part of `amaro` that is used here: the very code that newer Nodes have inside. Positions stay as they are. */
interface Amaro {
  transformSync(source: string, options: { mode: 'strip-only' }): { code: string };
}

/** The part of `typescript` that is used here; version 7 does not have it any more. */
interface TypeScript {
  transpileModule(
    source: string,
    options: { fileName: string; reportDiagnostics: true; compilerOptions: Readonly<Record<string, unknown>> },
  ): { outputText: string; diagnostics?: readonly Diagnostic[] };
  flattenDiagnosticMessageText(text: unknown, newLine: string): string;
}

interface Diagnostic {
  readonly start?: number;
  readonly messageText: unknown;
  readonly file?: { getLineAndCharacterOfPosition(start: number): { line: number } };
}

/** `ESNext`, as `ScriptTarget` and as `ModuleKind`. */
const ESNEXT = 99;

/**
 * What can take the types out of `file`: Node itself, or else `amaro` or `typescript`, as installed next to the file or next to the gateway. Null
 * when there is nothing.
 */
export function typeStripper(file: string): TypeStripper | null {
  const own: unknown = Reflect.get(module, 'stripTypeScriptTypes');
  if (typeof own === 'function') return stripping((source) => (own as (source: string) => string)(source));
  for (const from of [file, import.meta.url]) {
    const require = createRequire(from);
    const amaro = installed(require, 'amaro');
    if (hasFunction(amaro, 'transformSync')) return stripping((source) => (amaro as Amaro).transformSync(source, { mode: 'strip-only' }).code);
    const typescript = installed(require, 'typescript');
    if (hasFunction(typescript, 'transpileModule')) return (source, name) => transpile(typescript as TypeScript, source, name);
  }
  return null;
}

function installed(require: NodeJS.Require, name: string): unknown {
  try {
    return require(name);
  } catch {
    // Not there, or not for this Node.
    return null;
  }
}

function hasFunction(candidate: unknown, name: string): boolean {
  return typeof candidate === 'object' && candidate !== null && typeof Reflect.get(candidate, name) === 'function';
}

function stripping(strip: (source: string) => string): TypeStripper {
  return (source, file) => {
    try {
      return strip(source);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      // A picture: the line with its number, and below it a mark.
      const line = /^\s*(\d+) \|[^\n]*\n\s*:[^\n]*\^/m.exec(text)?.[1];
      const what = text.trim().split('\n', 1)[0].replace(/^x /, '');
      throw new SyntaxError(`${file}${line === undefined ? '' : `:${line}`}: ${what}`);
    }
  };
}

function transpile(typescript: TypeScript, source: string, file: string): string {
  const compilerOptions = { target: ESNEXT, module: ESNEXT, verbatimModuleSyntax: true, inlineSourceMap: true };
  const { outputText, diagnostics } = typescript.transpileModule(source, { fileName: file, reportDiagnostics: true, compilerOptions });
  const [fault] = diagnostics ?? [];
  if (fault === undefined) return outputText;
  const line = fault.start === undefined ? undefined : fault.file?.getLineAndCharacterOfPosition(fault.start).line;
  const what = typescript.flattenDiagnosticMessageText(fault.messageText, ' ');
  throw new SyntaxError(`${file}${line === undefined ? '' : `:${line + 1}`}: ${what}`);
}

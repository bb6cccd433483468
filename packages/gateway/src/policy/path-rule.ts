import { SallyportError } from '@sallyport/sdk';
import { pathForms } from './path-forms.js';
import { compilePathGlob } from './path-glob.js';

/** A path glob ready to be compared with a clean path, or with the forms that `pathForms` answers for any other. */
export interface PathRule {
  readonly glob: string;
  /** The glob in the forms of a path: only where one of them matches does the rule match. The first is for paths as they are sent. */
  readonly forms: readonly string[];
  /** For a path that `isCleanPath` found clean, whose only form it is. Allocates nothing. */
  matchesClean(path: string): boolean;
  /** True when the glob matches every form: what an allow needs. */
  matchesEvery(forms: readonly string[]): boolean;
  /** True when the glob matches some form: what is enough for a deny. */
  matchesSome(forms: readonly string[]): boolean;
}

/**
 * Compiles the glob of a rule. A glob with escapes or non-ASCII characters is put into the same forms as a path, so that `/caf%C3%A9`, `/café`
 * and `/my%20files/*` match what they say: form by form for an allow, any with any for a deny.
 * Throws `config_invalid` for what `compilePathGlob` refuses, and for a glob that no unambiguous path can match.
 */
export function compilePathRule(glob: string): PathRule {
  const encoded = glob.replace(/[\u0080-\uffff]+/g, percentEncode);
  const written = compilePathGlob(encoded);
  const forms = pathForms(encoded);
  if (forms === null)
    throw invalid(
      glob,
      'it has a dot segment, a control character or a malformed escape, and a request path with one is refused before it is compared',
    );
  if (forms.some((form) => form.split('*').length > encoded.split('*').length)) {
    throw invalid(glob, 'an escaped "*" cannot be told from a wildcard');
  }
  // For a clean glob all forms are the glob itself.
  const matchers = forms.length === 1 ? [written, written, written] : forms.map(compilePathGlob);
  return {
    glob,
    forms,
    matchesClean: written,
    matchesEvery: (paths) => paths.every((path, i) => matchers[i](path)),
    matchesSome: (paths) => paths.some((path) => matchers.some((matches) => matches(path))),
  };
}

function percentEncode(text: string): string {
  return Buffer.from(text).toString('hex').toUpperCase().replace(/../g, '%$&');
}

function invalid(glob: string, what: string): SallyportError {
  return new SallyportError('config_invalid', { detail: `The path glob ${JSON.stringify(glob)} cannot be used: ${what}` });
}

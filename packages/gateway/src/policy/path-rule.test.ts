import { SallyportError } from '@sallyport/sdk';
import { describe, expect, it } from 'vitest';
import { pathForms } from './path-forms.js';
import { compilePathRule } from './path-rule.js';

function judge(glob: string, path: string): { allow: boolean; deny: boolean } {
  const rule = compilePathRule(glob);
  const forms = pathForms(path);
  if (forms === null) throw new Error(`${path} is ambiguous`);
  return { allow: rule.matchesEvery(forms), deny: rule.matchesSome(forms) };
}

const BOTH = { allow: true, deny: true };
const DENY_ONLY = { allow: false, deny: true };
const NEITHER = { allow: false, deny: false };

describe('compilePathRule', () => {
  it.each([
    ['/v1/**', '/v1/a', BOTH],
    ['/v1/**', '/v2/a', NEITHER],
    ['/v1/*', '/v1/a%20b', BOTH],
    ['/v1/*', '/v1/a%2Fb', DENY_ONLY],
    ['/v1/**', '/v1/a%2Fb', BOTH],
    ['/admin/**', '/%61dmin/x', DENY_ONLY],
    ['/admin/**', '//admin/x', DENY_ONLY],
    ['/admin/**', '/admin;v=1/x', DENY_ONLY],
    ['/admin/**', '/x%2Fadmin', NEITHER],
    ['/my%20files/*', '/my%20files/a', BOTH],
    ['/café', '/caf%C3%A9', BOTH],
    ['/café', '/caf%c3%a9', DENY_ONLY],
    ['/a%2Fb', '/a%2Fb', BOTH],
    ['/a%2Fb', '/a/b', DENY_ONLY],
    ['/a;v=1', '/a;v=1', BOTH],
    ['/a;v=1', '/a', DENY_ONLY],
  ])('%s and %s', (glob, path, expected) => {
    expect(judge(glob, path)).toEqual(expected);
  });

  it('matches a clean path as its only form', () => {
    const rule = compilePathRule('/v1/*');
    expect([rule.matchesClean('/v1/a'), rule.matchesClean('/v1/a/b')]).toEqual([true, false]);
  });

  it.each(['/a/../b', '/a/%2e/b', '/a%zz', '/a%00', '/a%2A', '/a%252a', 'a', '/a**'])('refuses %j', (glob) => {
    expect(() => compilePathRule(glob)).toThrow(SallyportError);
    expect(() => compilePathRule(glob)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });
});

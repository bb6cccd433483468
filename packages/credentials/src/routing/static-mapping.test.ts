import { SallyportError } from '@sallyport/sdk';
import { describe, expect, it } from 'vitest';
import { type KeyResolver, resolveCredentialKey } from './key-resolver.js';
import { call, options } from './routing.test.support.js';
import { staticMapping } from './static-mapping.js';

describe('staticMapping', () => {
  it('answers the key of the best rule', () => {
    const mapping = staticMapping([
      { match: {}, key: 'any' },
      { match: { marketplaceId: 'us-*' }, key: 'us' },
      { match: { marketplaceId: 'us-1' }, key: 'us one' },
      { match: { marketplaceId: '*', environmentId: 'test' }, key: 'test' },
    ]);
    const keyOf = (marketplaceId: string, environmentId = ''): unknown => mapping.resolveKey(call({ marketplaceId, environmentId }), options);
    expect([keyOf('x'), keyOf('us-2'), keyOf('us-1'), keyOf('us-1', 'test')]).toEqual(['any', 'us', 'us one', 'test']);
  });

  it.each([[[]], [[{ match: { vendorId: 'b' }, key: 'k' }]]])('knows no key without a rule that matches: %j', (rules) => {
    expect(() => staticMapping(rules).resolveKey(call({ vendorId: 'a' }), options)).toThrow(
      expect.objectContaining({ code: 'mapping_not_found', message: 'no mapping rule matched; the call has vendorId "a"' }),
    );
  });

  it('refuses an empty key and a rule that cannot be read', () => {
    expect(() =>
      staticMapping([
        { match: {}, key: 'k' },
        { match: {}, key: '' },
      ]),
    ).toThrow(expect.objectContaining({ code: 'route_invalid', message: 'rules[1]: the key is empty' }));
    expect(() => staticMapping([{ match: { targetUrl: '/x' }, key: 'k' }])).toThrow(
      expect.objectContaining({ message: expect.stringContaining('rules[0]: the target "/x"') as string }),
    );
  });

  it('warns of rules between which only the order decides', () => {
    const warnings: unknown[] = [];
    staticMapping(
      [
        { match: { vendorId: 'a' }, key: 'one' },
        { match: { vendorId: 'b' }, key: 'two' },
        { match: { vendorId: 'b' }, key: 'three' },
      ],
      {
        onWarning: (message, fields) => warnings.push([message, fields]),
      },
    );
    expect(warnings).toEqual([
      [
        'mapping rules with equal specificity may overlap, first one wins on tie',
        { rule_a_index: 1, rule_a_key: 'two', rule_b_index: 2, rule_b_key: 'three' },
      ],
    ]);
  });
});

describe('resolveCredentialKey', () => {
  const never: KeyResolver = {
    resolveKey() {
      throw new Error('was asked');
    },
  };

  it('takes what the platform sent', async () => {
    expect(await resolveCredentialKey(call({ data: { TenantID: 't' } }), 'TenantID', never, options)).toBe('t');
  });

  it.each([1, '', null, {}, false])('does not ask the resolver when %j was sent', async (value) => {
    const key = resolveCredentialKey(call({ data: { TenantID: value } }), 'TenantID', never, options);
    await expect(key).rejects.toMatchObject({ code: 'context_data_field_invalid' });
  });

  it('asks the resolver when nothing was sent', async () => {
    const asked: unknown[] = [];
    const resolver: KeyResolver = {
      resolveKey(context, passed) {
        asked.push(context.vendorId, passed);
        return Promise.resolve('from the resolver');
      },
    };
    expect(await resolveCredentialKey(call({ vendorId: 'a', data: {} }), 'TenantID', resolver, options)).toBe('from the resolver');
    expect(asked).toEqual(['a', options]);
  });

  it.each([[null], [{ resolveKey: () => '' }], [{ resolveKey: () => undefined as unknown as string }]])(
    'misses what nobody knows',
    async (resolver) => {
      await expect(resolveCredentialKey(call(), 'TenantID', resolver, options)).rejects.toMatchObject({
        code: 'context_data_missing',
        status: 400,
        members: { field: 'TenantID' },
      });
    },
  );

  it('passes on what the resolver throws, with the field in front', async () => {
    await expect(resolveCredentialKey(call(), 'TenantID', staticMapping([]), options)).rejects.toMatchObject({
      code: 'mapping_not_found',
      message: expect.stringMatching('^resolving TenantID: no mapping rule matched') as string,
    });
    const failed = resolveCredentialKey(call(), 'TenantID', never, options);
    await expect(failed).rejects.toMatchObject({
      message: 'resolving TenantID: was asked',
      cause: expect.objectContaining({ message: 'was asked' }) as Error,
    });
    await expect(failed).rejects.not.toBeInstanceOf(SallyportError);
  });

  it('passes on that the call was given up as it is', async () => {
    const reason = new Error('gone');
    const resolver: KeyResolver = { resolveKey: (_context, { signal }) => Promise.reject(signal.reason as Error) };
    await expect(resolveCredentialKey(call(), 'TenantID', resolver, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

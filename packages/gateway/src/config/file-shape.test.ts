import { Secret } from '@sallyport/sdk';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { FORWARD, gateway } from './expected-problems.test.support.js';
import { fileShape } from './file-shape.js';
import { configJsonSchema } from './json-schema.js';
import { parseConfig } from './load.js';
import { ConfigError } from './problems.js';
import { configReference } from './reference.js';
import { duration, secretValue, text } from './schema/values.js';
import type { Section } from './section.js';

interface Kettle {
  readonly colour: string;
  readonly boil: number;
  readonly recipe: Secret;
}

/** A section of somebody else. */
const kettle: Section<Kettle> = {
  schema: (context) =>
    z
      .strictObject({
        colour: text('a colour').prefault('blue').describe('What it looks like.'),
        boil: duration().prefault('3m').describe('How long it takes.'),
        recipe: secretValue(context, 'the recipe', (plain) => (plain.length < 4 ? 'the recipe is short' : null)).describe('What is in it.'),
      })
      .describe('A kettle.'),
  doubts: ({ colour }) => (colour === 'black' ? [{ path: ['colour'], message: 'the pot says so too' }] : []),
};

const env = { RECIPE: 'tea-and-milk' };
const both = (control: string): string => `${gateway(FORWARD)}\ncontrol:\n  ${control}`;
const read = (written: string) => parseConfig(written, { path: '/x.yaml', env, control: kettle });

function problemsOf(run: () => unknown): readonly (readonly [line: number, column: number, key: string, message: string])[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ line, column, key, message }) => [line, column, key, message]);
    throw error;
  }
  return [];
}

describe('with a section of the control plane', () => {
  test('a file has either or both', () => {
    expect(read('control: { recipe: { env: RECIPE } }')).toMatchObject({ gateway: null, control: { colour: 'blue', boil: 180_000 }, warnings: [] });
    expect(read(gateway(FORWARD))).toMatchObject({ gateway: { listeners: { forward: { port: 9_080 } } }, control: null });
    expect(read(both('recipe: { env: RECIPE }'))).toMatchObject({ gateway: {}, control: { recipe: expect.any(Secret) } });
  });

  test('its mistakes are reported like those of the gateway', () => {
    expect(problemsOf(() => read(both('{ color: red, boil: soon, recipe: { env: UNSET } }')))).toEqual([
      [4, 5, 'control.color', 'unknown key, did you mean "colour"?'],
      [4, 23, 'control.boil', expect.stringContaining('expected a duration')],
      [4, 29, 'control.recipe', 'the environment variable UNSET is not set'],
    ]);
    expect(problemsOf(() => read(both('{ recipe: abcd, listeners: {} }')))).toEqual([
      [4, 19, 'control.listeners', 'unknown key here; it belongs to gateway'],
    ]);
  });

  test('its secrets are not shown, and its doubts are warnings', () => {
    const shown = (() => {
      try {
        return read(both('{ recipe: abc, x: 1 }'));
      } catch (error) {
        return (error as ConfigError).problems;
      }
    })();
    expect(JSON.stringify(shown)).not.toContain('abc');
    expect(read(both('{ recipe: abcd, colour: black }')).warnings).toMatchObject([
      { line: 4, key: 'control.colour', message: 'the pot says so too' },
    ]);
  });

  test('it is in the JSON Schema and on the reference page', () => {
    expect(configJsonSchema(kettle).properties?.control?.properties?.recipe).toMatchObject({ writeOnly: true, description: 'What is in it.' });
    expect(configJsonSchema(kettle).required).toBeUndefined();
    expect(configReference(kettle)).toContain('## control.boil');
    expect(fileShape(kettle)).toBe(fileShape(kettle));
  });
});

describe('without one', () => {
  test('what stands there is not looked at', () => {
    const loaded = parseConfig(both('{ color: red, boil: [soon] }'), { path: '/x.yaml', env: {} });
    expect(loaded.gateway.listeners.forward?.port).toBe(9_080);
    expect(loaded).not.toHaveProperty('control');
  });

  test('it is not shown either, since anything in it may be a secret', () => {
    const found = (): unknown => parseConfig(`control: { a: sesame, b: [open] }\n${gateway('listeners: {}')}`, { path: '/x.yaml', env: {} });
    expect(problemsOf(found)).toHaveLength(1);
    expect(problemsOf(() => parseConfig('control: sesame', { path: '/x.yaml', env: {} }))).toEqual([
      [1, 1, 'gateway', 'is required: expected a map'],
    ]);
    expect(() => parseConfig('control: { a: sesame } # here', { path: '/x.yaml', env: {} })).toThrow(
      expect.objectContaining({ problems: [expect.objectContaining({ excerpt: expect.objectContaining({ text: 'control: { a: …' }) })] }),
    );
  });
});

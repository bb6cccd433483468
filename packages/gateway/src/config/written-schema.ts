/** A JSON Schema as far as this one uses the vocabulary. */
export interface JsonSchema {
  readonly $schema?: string;
  readonly $id?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly writeOnly?: boolean;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | false;
  readonly propertyNames?: JsonSchema;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** The forms that a value may have; none where it has but one. */
export function alternativesOf(schema: JsonSchema): readonly JsonSchema[] {
  if (schema.anyOf === undefined && schema.oneOf === undefined) return [];
  return [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].filter((form) => form.type !== undefined);
}

/** The key by which the forms of a map are told apart, such as `type`: each has a word of its own there. Null where there is no such key. */
export function discriminatorOf(forms: readonly JsonSchema[]): string | null {
  const [first] = forms;
  const keys = Object.keys(first?.properties ?? {});
  return keys.find((key) => forms.every(({ properties }) => typeof properties?.[key]?.const === 'string')) ?? null;
}

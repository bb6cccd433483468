/** Whether the key of a label or an annotation is one that only the system writes. */
export function isSystemKey(key: string): boolean {
  return /^(?:apxy|sallyport)\//i.test(key);
}

/** Those of these labels or annotations that users have set: what may be sent back. */
export function userLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).filter(([key]) => !isSystemKey(key)));
}

import { SallyportError } from '@sallyport/sdk';

/** Where complaints about a value go: below the value, at `path`. */
export interface Issues {
  addIssue(issue: { code: 'custom'; message: string; path?: PropertyKey[] }): void;
}

/** What `read` answers; null after a complaint when it refuses with an error of the catalogue, whose message may not quote a secret. */
export function accepted<Result>(read: () => Result, issues: Issues, path: PropertyKey[] = []): Result | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    issues.addIssue({ code: 'custom', message: error.message.replace(/\.$/, ''), path });
    return null;
  }
}

/** An object without the members that are undefined. */
export function withoutUndefined<Given extends object>(given: Given): { [Key in keyof Given]: Exclude<Given[Key], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, member]) => member !== undefined)) as {
    [Key in keyof Given]: Exclude<Given[Key], undefined>;
  };
}

import type { Operation } from './operation.js';

/** Answers what the Allow field of 405 says of a path (RFC 9110 §15.5.6): the methods that there are; '' where there is no such path. */
export function methodsByPath(operations: readonly Pick<Operation, 'method' | 'path'>[]): (path: string) => string {
  const patterns = operations.map(({ method, path }) => {
    const parts = path.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : part.replaceAll(/[^\w-]/g, String.raw`\$&`)));
    return { methods: method === 'GET' ? ['GET', 'HEAD'] : [method], pattern: new RegExp(`^${parts.join('/')}$`) };
  });
  return (path) => [...new Set(patterns.flatMap(({ methods, pattern }) => (pattern.test(path) ? methods : [])))].sort().join(', ');
}

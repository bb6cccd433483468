import { type Database, type DatabaseOptions, openDatabase } from '../open-database.js';

/** A database that counts what is asked of it. */
export interface CountedDatabase extends Database {
  /** The statements of `work`, without the begin and end of transactions. */
  statementsOf(work: () => Promise<unknown>): Promise<readonly string[]>;
}

/** Opens a database so that statements can be counted. Close it. */
export function openCounted(options: DatabaseOptions): CountedDatabase {
  let statements: string[] = [];
  const database = openDatabase({ ...options, onStatement: (sql) => void statements.push(sql) });
  return {
    ...database,
    statementsOf: async (work) => {
      statements = [];
      await work();
      return statements;
    },
  };
}

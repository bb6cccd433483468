import { type ErrorCode, SallyportError } from '@sallyport/sdk';

/** Which rule of the schema a row broke. */
export interface Violation {
  readonly table: string;
  /** In the order of the index; empty when the database does not say. */
  readonly columns: readonly string[];
}

/** A row was refused by the schema: `unique_violation` or `reference_violation`. Names the rule, never the values. */
export class ConstraintError extends SallyportError {
  readonly violation: Violation;

  constructor(code: 'unique_violation' | 'reference_violation', violation: Violation, cause: unknown) {
    super(code, { cause });
    this.violation = violation;
  }
}

/** True when a row was refused because another has the same values in a unique index of `table` (and, if given, an index that has `column`). */
export function isUniqueViolation(error: unknown, table: string, column?: string): error is ConstraintError {
  if (!(error instanceof ConstraintError) || error.code !== 'unique_violation' || error.violation.table !== table) return false;
  return column === undefined || error.violation.columns.includes(column);
}

/** True when a row points at one that is not there, or is still pointed at. SQLite does not say from which table. */
export function isReferenceViolation(error: unknown): error is ConstraintError {
  return error instanceof ConstraintError && error.code === 'reference_violation';
}

/** True when the transaction lost against another one and succeeds when it is run again. */
export function isRetryable(error: unknown): boolean {
  return error instanceof SallyportError && error.code === 'database_busy';
}

interface SqliteError extends Error {
  readonly errcode: number;
}

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_CONSTRAINT_FOREIGNKEY = 787;
const SQLITE_UNIQUE_CODES = new Set([1555, 2067, 2579]);
const SQLITE_WORDS = [
  ['UNIQUE constraint failed: ', 2067],
  ['FOREIGN KEY constraint failed', SQLITE_CONSTRAINT_FOREIGNKEY],
  ['database is locked', SQLITE_BUSY],
  ['database table is locked', SQLITE_LOCKED],
] as const;

/** True when SQLite did not get the lock it needs; nothing has happened yet. */
function isSqliteBusy(error: SqliteError): boolean {
  // The low byte is the kind; the rest says which lock it was.
  const kind = error.errcode & 0xff;
  return kind === SQLITE_BUSY || kind === SQLITE_LOCKED;
}

/** An error of node:sqlite or of the driver that stands in for it, in our words. Other errors come back as they are. */
export function fromSqliteError(thrown: unknown): unknown {
  const error = asSqliteError(thrown);
  if (error === null) return thrown;
  if (isSqliteBusy(error)) return new SallyportError('database_busy', { cause: error });
  if (SQLITE_UNIQUE_CODES.has(error.errcode)) return new ConstraintError('unique_violation', sqliteViolation(error.message), error);
  if (error.errcode === SQLITE_CONSTRAINT_FOREIGNKEY) return new ConstraintError('reference_violation', { table: '', columns: [] }, error);
  return error;
}

/**
 * The error with SQLite's code. The driver that stands in for node:sqlite leaves it out of what statements that answer rows (`returning`) throw, and
 * then only the words of SQLite tell.
 */
function asSqliteError(error: unknown): SqliteError | null {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_SQLITE_ERROR') return null;
  if ('errcode' in error && typeof error.errcode === 'number') return error as SqliteError;
  const found = SQLITE_WORDS.find(([words]) => error.message.includes(words));
  return found === undefined ? null : Object.assign(error, { errcode: found[1] });
}

/** `UNIQUE constraint failed: actors.namespace, actors.external_id` */
function sqliteViolation(message: string): Violation {
  const places = message
    .slice(message.lastIndexOf(': ') + 2)
    .split(', ')
    .map((place) => place.split('.'));
  return { table: places[0]?.[0] ?? '', columns: places.map((place) => place[1] ?? '') };
}

interface PostgresError extends Error {
  readonly code: string;
  readonly table?: string;
  detail?: string | undefined;
  where?: string | undefined;
}

/** Serialization failure, deadlock, and a lock that was not to be had in time. */
const POSTGRES_RETRYABLE = new Set(['40001', '40P01', '55P03']);
/** Connection exceptions, the server shutting down or full, and what the socket says. */
const POSTGRES_UNAVAILABLE = /^(?:08...|57P0[1-3]|53300|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)$/;

/** An error of pg in our words. Other errors come back as they are, without the parts in which Postgres quotes rows. */
export function fromPostgresError(error: unknown): unknown {
  if (!isPostgresError(error)) return unavailableOr(error);
  const { code, table = '', detail = '' } = error;
  // Postgres quotes the refused row in these, and rows hold what no log may hold.
  error.detail = undefined;
  error.where = undefined;
  if (code === '23505') return new ConstraintError('unique_violation', { table, columns: postgresColumns(detail) }, error);
  if (code === '23503') return new ConstraintError('reference_violation', { table, columns: postgresColumns(detail) }, error);
  if (POSTGRES_RETRYABLE.has(code)) return new SallyportError('database_busy', { cause: error });
  if (POSTGRES_UNAVAILABLE.test(code)) return unavailable(error);
  return error;
}

function isPostgresError(error: unknown): error is PostgresError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}

/** pg reports a connection that broke or was not to be had as a plain Error with nothing but a sentence. */
function unavailableOr(error: unknown): unknown {
  return error instanceof Error && /connection terminated|timeout exceeded when trying to connect|not queryable/i.test(error.message)
    ? unavailable(error)
    : error;
}

function unavailable(cause: Error): SallyportError {
  const code: ErrorCode = 'database_unavailable';
  return new SallyportError(code, { cause });
}

/** `Key (namespace, external_id)=(root, 1) already exists.`, in whatever language the server speaks. */
function postgresColumns(detail: string): readonly string[] {
  return (
    /\(([^()]*)\)=\(/
      .exec(detail)?.[1]
      ?.split(', ')
      .map((column) => column.replaceAll('"', '')) ?? []
  );
}

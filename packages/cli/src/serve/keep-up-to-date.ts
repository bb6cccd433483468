import { ConfigError, formatProblems, type Gateway, type LoadedConfig, loadConfig, watchConfig } from '@sallyport/gateway';
import { asSallyportError, type SallyportError } from '@sallyport/sdk';
import { coloursFor } from '../terminal.js';

/** Applies the configuration again whenever its files change and on SIGHUP, one time after the other. */
export function keepUpToDate(gateway: Gateway, loaded: LoadedConfig): { end(): void } {
  const { path } = loaded;
  let unwatch = watchConfig(path, loaded.files, () => request());
  let running = false;
  let again = false;
  let ended = false;

  async function apply(): Promise<void> {
    let next: LoadedConfig;
    try {
      next = await loadConfig(path);
    } catch (error) {
      const failure = asSallyportError(error);
      gateway.noteRejectedReload(failure.message);
      report(failure);
      return;
    }
    if (ended) return;
    // What the new one names is watched even when it cannot be applied: the file that is wrong may be among it.
    unwatch();
    unwatch = watchConfig(path, next.files, () => request());
    try {
      await gateway.reload(next.gateway);
    } catch (error) {
      report(asSallyportError(error));
      return;
    }
    gateway.logger.info({ config: path }, 'the changed configuration is in force');
    for (const { line, column, key, message } of next.warnings) gateway.logger.warn({ line, column, key }, message);
  }

  function report(error: SallyportError): void {
    const problems =
      error instanceof ConfigError ? error.problems.map(({ file, line, column, key, message }) => ({ file, line, column, key, message })) : [];
    gateway.logger.error(
      { code: error.code, problems, hint: error.hint },
      `the changed configuration was not applied, the old one stays: ${error.message}`,
    );
    if (!process.stderr.isTTY) return;
    const places = error instanceof ConfigError && error.problems.length > 0 ? formatProblems(error.problems) : error.message;
    process.stderr.write(`${coloursFor(process.stderr).red('The changed configuration was not applied, the old one stays.')}\n${places}\n`);
  }

  function request(): void {
    // A change that comes while one is being applied is looked at afterwards.
    again = true;
    if (running || ended) return;
    running = true;
    void (async () => {
      while (again && !ended) {
        again = false;
        await apply();
      }
      running = false;
    })();
  }

  process.on('SIGHUP', request);
  return {
    end() {
      ended = true;
      process.off('SIGHUP', request);
      unwatch();
    },
  };
}

import fc from 'fast-check';

/**
 * On CI the property tests try the same values every time, so that a change is judged by what it changed and not by luck. Everywhere else each
 * run tries new ones; SALLYPORT_FUZZ_SEED repeats one.
 */
const wanted = process.env.SALLYPORT_FUZZ_SEED ?? (process.env.CI === undefined ? undefined : '20261122');
if (wanted !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(wanted) });

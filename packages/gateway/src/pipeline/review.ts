import { performance } from 'node:perf_hooks';
import { asSallyportError } from '@sallyport/sdk';
import type { WaitedStep } from '../exchange.js';
import type { ResponseChanges } from '../plugins/plugin-host.js';
import { fieldSet, hopByHopFields } from '../wire/field-names.js';
import type { Head, HeadLimits } from '../wire/head.js';
import { contentFields } from './body-fields.js';
import type { ConsultedPlugin } from './consulted-plugin.js';
import { type HeldResponse, headOf, type Review } from './forward/held-response.js';
import type { Passage, Transaction } from './passage.js';

/** What a plugin that gives another body takes away, unless it names it. */
const describing = fieldSet(contentFields);

/** Lets the plugin change a response. When it fails, the response goes on as it is. */
export function reviewByPlugin(passage: Passage, plugin: ConsultedPlugin, transaction: Transaction): Review {
  return async (held, signal) => {
    const { head } = held;
    try {
      const response = { status: head.statusCode, headers: linesOf(head), readBody: held.body };
      const { action, changes } = await plugin.host.modifyResponse(transaction.context(), response, signal);
      const showsErrors = action?.skipErrorNormalization === true;
      return { again: false, head: changedHead(held, changes, passage.runtime.limits.head), replacement: changes.replacement, showsErrors };
    } catch (error) {
      plugin.onFailure(asSallyportError(error), passage.exchange.requestId);
      return { again: false, head, replacement: null, showsErrors: false };
    }
  };
}

/** The same review, which is noted in the trace of the exchange, if it has one. */
export function traced({ exchange: { trace } }: Passage, step: WaitedStep, review: Review): Review {
  if (trace === null) return review;
  return async (held, signal) => {
    const startTick = performance.now();
    try {
      return await review(held, signal);
    } finally {
      trace.waited({ step, startTick, endTick: performance.now(), error: null });
    }
  };
}

/** One review, and when that lets the response go on, the other one. */
export function unlessAgain(first: Review, second: Review | null): Review {
  if (second === null) return first;
  return async (held, signal) => {
    const verdict = await first(held, signal);
    return verdict.again ? verdict : await second(held, signal);
  };
}

/** Has the request sent once more with another credential, where there is one; otherwise the refusal of the upstream goes on as it is. */
export function renewAfterRefusal(renew: (signal: AbortSignal) => Promise<boolean>): Review {
  return async ({ head }, signal) => {
    // Why there is no other credential is in the log already; for the client the answer of the upstream says enough.
    const renewed = await renew(signal).catch(() => false);
    return renewed ? { again: true } : { again: false, head, replacement: null, showsErrors: false };
  };
}

function linesOf(head: Head): [string, string][] {
  const lines: [string, string][] = [];
  for (let i = 0; i < head.count; i++) lines.push([head.bytes.toString('latin1', head.nameStart[i], head.nameEnd[i]), head.valueAt(i)]);
  return lines;
}

/** The head with what the plugin changed. What frames the body stays: whether it still fits is for whoever sends it. */
function changedHead({ head }: HeldResponse, { status, fields, replacement }: ResponseChanges, limits: HeadLimits): Head {
  if (status === null && fields.names.length === 0 && replacement === null) return head;
  const touched = new Set(fields.names);
  // A whole body is no part any more, unless the plugin says of what.
  const whole = replacement !== null && head.statusCode === 206 && !touched.has('content-range') ? 200 : null;
  const code = status ?? whole ?? head.statusCode;
  const reason = code === head.statusCode ? head.bytes.toString('latin1', head.targetStart, head.targetEnd) : '';
  let text = `HTTP/1.${head.minorVersion} ${code} ${reason}\r\n`;
  for (let i = 0; i < head.count; i++) {
    const id = head.id[i];
    if (touched.has(head.nameAt(i)) && hopByHopFields[id] !== 1) continue;
    if (replacement !== null && describing[id] === 1) continue;
    text += head.bytes.toString('latin1', head.nameStart[i], head.lineEnd[i]);
  }
  return headOf(Buffer.from(`${text}${fields.lines}\r\n`, 'latin1'), limits);
}

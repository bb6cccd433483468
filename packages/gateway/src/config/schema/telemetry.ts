import { z } from 'zod';
import { isFieldValue } from '../../wire/head-writer.js';
import { duration, flag, secretValue, text, token, type ValueContext } from './values.js';

/** The export of traces and metrics to a collector that speaks OTLP over HTTP. */
export function telemetrySchema(context: ValueContext) {
  return z
    .strictObject({
      tracing: flag().prefault(false).describe('Exports a trace of every exchange, and tells upstreams which one they are part of.'),
      metrics: flag().prefault(false).describe('Exports what `/metrics` shows.'),
      endpoint: endpointSchema()
        .optional()
        .describe(
          'URL of the collector; `/v1/traces` and `/v1/metrics` are added. When left out, the `OTEL_EXPORTER_OTLP_…` variables say, or it is `http://localhost:4318`.',
        ),
      headers: z
        .record(token('a header name'), secretValue(context, 'a header value', headerFault))
        .prefault({})
        .describe('Header fields that the collector asks for.'),
      service_name: text('a name').optional().describe('What this gateway is called there; `OTEL_SERVICE_NAME` or `sallyport` when left out.'),
      resource: z
        .record(text('a name'), text('a text'))
        .prefault({})
        .describe('Further attributes of this gateway, beside those of `OTEL_RESOURCE_ATTRIBUTES`.'),
      sample: ratioSchema()
        .optional()
        .describe(
          'The part of the traces that is kept, from 0 to 1, where the caller has not decided; the `OTEL_TRACES_SAMPLER` variables say when left out.',
        ),
      interval: duration(86_400_000)
        .optional()
        .describe('Time between two exports of metrics; `OTEL_METRIC_EXPORT_INTERVAL` or one minute when left out.'),
    })
    .prefault({})
    .describe('Traces and metrics by OTLP.');
}

function endpointSchema() {
  return text('an http:// or https:// URL').superRefine((written, issues) => {
    const fault = urlFault(written);
    if (fault !== null) issues.addIssue({ code: 'custom', message: fault });
  });
}

function urlFault(written: string): string | null {
  const url = URL.canParse(written) ? new URL(written) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '')
    return 'expected a URL such as http://localhost:4318';
  if (url.username !== '' || url.password !== '') return 'a URL with a user name or a password; use headers instead';
  return url.search === '' && url.hash === '' ? null : 'a URL with a query or a fragment';
}

function headerFault(value: string): string | null {
  if (value === '') return 'the value is empty';
  return isFieldValue(value) ? null : 'the value holds a character that a header cannot carry';
}

/** Digits that come from a variable are text and count as a number. */
function ratioSchema() {
  const error = 'expected a number from 0 to 1';
  const number = z.number({ error }).min(0, error).max(1, error);
  return z.preprocess((written) => (typeof written === 'string' && /^[01]?\.?[0-9]{1,15}$/.test(written) ? Number(written) : written), number);
}

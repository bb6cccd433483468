import type { Attributes } from '@opentelemetry/api';
import type { Exchange, ExchangeTrace } from '../../exchange.js';
import { cut, foreignText, type Sought, soughtIn } from '../foreign-text.js';
import type { RecordedTarget } from '../request-event.js';

/** The most characters of a value. */
const LONGEST = 1_024;

/**
 * The attributes of the span of an exchange: those of the HTTP conventions of OpenTelemetry for servers, what Sallyport decided, and for the sidecar
 * those that Chaperone has. No query, and no secret that was injected.
 */
export function serverAttributes(exchange: Exchange, trace: ExchangeTrace, target: RecordedTarget): Attributes {
  const { door, status, error, caller, credential, forwardTarget, verdict, rule } = exchange;
  const sought = soughtIn(exchange.secrets);
  const attributes: Attributes = {
    ...(exchange.method === '' ? {} : { 'http.request.method': foreignText(exchange.method, LONGEST, sought) }),
    ...(trace.called === null ? targetAttributes(exchange, sought, target) : calledAttributes(exchange, trace.called, sought)),
    'client.address': exchange.clientAddress,
    'sallyport.door': door,
    'sallyport.kind': exchange.kind,
    'sallyport.outcome': exchange.outcome,
    'sallyport.request_id': foreignText(exchange.requestId, LONGEST, sought),
  };
  if (status > 0) attributes['http.response.status_code'] = status;
  if (error !== null) attributes['error.type'] = error;
  else if (status >= 500) attributes['error.type'] = String(status);
  if (exchange.errorDetail !== null) attributes['sallyport.error_detail'] = foreignText(exchange.errorDetail, LONGEST, sought);
  if (caller !== null) attributes['sallyport.caller'] = cut(caller.name, LONGEST);
  if (credential !== null) attributes['sallyport.credential'] = cut(credential, LONGEST);
  if (forwardTarget !== null) attributes['sallyport.forward_target'] = cut(forwardTarget, LONGEST);
  if (verdict !== null) attributes['sallyport.verdict'] = verdict;
  if (rule !== null) attributes['sallyport.rule'] = cut(rule, LONGEST);
  if (door !== 'sidecar') return attributes;
  attributes['chaperone.connect_request_id'] = foreignText(exchange.requestId, LONGEST, sought);
  if (exchange.vendorId !== '') attributes['chaperone.vendor_id'] = foreignText(exchange.vendorId, LONGEST, sought);
  if (trace.serviceId !== '') attributes['chaperone.service_id'] = foreignText(trace.serviceId, LONGEST, sought);
  return attributes;
}

/** The attributes of the span of an attempt at the upstream, apart from how it ended. */
export function clientAttributes(exchange: Exchange, address: string | null, target: RecordedTarget): Attributes {
  const sought = soughtIn(exchange.secrets);
  const attributes: Attributes = { 'http.request.method': foreignText(exchange.method, LONGEST, sought) };
  if (exchange.forwardTarget === null) Object.assign(attributes, targetAttributes(exchange, sought, target));
  else attributes['sallyport.forward_target'] = cut(exchange.forwardTarget, LONGEST);
  if (address !== null) attributes['network.peer.address'] = address;
  return attributes;
}

function targetAttributes({ scheme, host, port, path }: Exchange, sought: Sought, target: RecordedTarget): Attributes {
  if (host === '') return {};
  return {
    'url.scheme': scheme,
    'server.address': foreignText(host, LONGEST, sought),
    'server.port': port,
    ...(path === '' || target === 'host' ? {} : { 'url.path': foreignText(path, LONGEST, sought) }),
  };
}

/** Of the sidecar itself: the target is that of the attempt. */
function calledAttributes({ host }: Exchange, { authority, tls }: { readonly authority: string; readonly tls: boolean }, sought: Sought): Attributes {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(authority);
  const name = match?.[1] ?? match?.[2];
  const port = match?.[3];
  return {
    'url.scheme': tls ? 'https' : 'http',
    ...(host === '' ? {} : { 'url.path': '/proxy' }),
    ...(name === undefined ? {} : { 'server.address': foreignText(name, LONGEST, sought) }),
    ...(port === undefined ? {} : { 'server.port': Number(port) }),
  };
}

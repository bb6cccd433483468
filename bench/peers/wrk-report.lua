-- Prints wrk's own totals as one JSON line. It defines no `request` or `response`, so wrk keeps its fast path.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"bytes":%d,"micros":%d,"failed":%d,"status":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.bytes, summary.duration, errors.connect + errors.read + errors.write + errors.timeout,
    errors.status, latency:percentile(50), latency:percentile(99)
  ))
end

-- Sends one kind of request: arguments METHOD PATH BODY PREFIX NAMES. In PATH and BODY, {n} becomes the prefix with a new number and {pick} one of the
-- names in the file NAMES after the other. Prints wrk's totals as one JSON line.
local method, path, body, prefix
local names = {}
local count = 0

function init(args)
  method, path, body, prefix = args[1], args[2], args[3], args[4]
  for line in io.lines(args[5]) do names[#names + 1] = line end
end

local function fill(text)
  local filled = text:gsub('{n}', prefix .. count):gsub('{pick}', names[count % #names + 1])
  return filled
end

function request()
  count = count + 1
  return wrk.format(method, fill(path), nil, body ~= '' and fill(body) or nil)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"micros":%d,"failed":%d,"status":%d}\n',
    summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.timeout, errors.status
  ))
end

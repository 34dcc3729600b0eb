-- wrk: post one JSON body over and over, and print what the bench reads
wrk.method = "POST"
wrk.body = '{"name":"Ada","qty":12}'
wrk.headers["content-type"] = "application/json"
function done(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %d %d %.3f %.3f %d\n", summary.requests, summary.duration, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, bad))
end

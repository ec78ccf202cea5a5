-- Sends prepared requests in turn. The file has for each its length in bytes, a line's end, and the request.
local requests, place = {}, 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   -- The second thing that is read is the line's end.
   local length = file:read("*n", 1)
   while length do
      requests[#requests + 1] = file:read(length)
      length = file:read("*n", 1)
   end
   file:close()
end

function request()
   place = place % #requests + 1
   return requests[place]
end

function done(summary)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "status": %d, "read": %d, "write": %d, "connect": %d, "timeout": %d}\n',
      summary.requests, summary.duration, errors.status, errors.read, errors.write, errors.connect, errors.timeout))
end

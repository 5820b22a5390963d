--- Files and words of a shell, for specs and their drivers.

local files = {}

--- `word` as one word of a shell's command line.
function files.quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

function files.read(path)
  local file = assert(io.open(path, "rb"))
  local octets = file:read("*a")
  file:close()
  return octets
end

function files.write(path, octets)
  local file = assert(io.open(path, "wb"))
  assert(file:write(octets))
  assert(file:close())
end

--- A new file with these octets; who asks for it removes it.
-- @return its path
function files.temporary(octets)
  local path = os.tmpname()
  files.write(path, octets)
  return path
end

--- A new folder; who asks for it removes it.
-- @return its path
function files.make_folder()
  local pipe = io.popen("mktemp -d")
  local folder = pipe:read("*l")
  pipe:close()
  return folder
end

--- A folder and what is in it.
function files.remove_folder(folder)
  os.execute("rm -rf " .. files.quote(folder))
end

--- The interpreter that runs this, as it was called; where a shell cannot call
-- it like that (under an emulator), what POP3_INTERPRETER says.
function files.interpreter()
  local wrapper = os.getenv("POP3_INTERPRETER")
  if wrapper then return wrapper end
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return arg[first]
end

return files

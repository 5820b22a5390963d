-- What ships runs on every Lua from 5.1 to 5.4 and LuaJIT.
std = "min"
max_line_length = 100
codes = true
self = false
exclude_files = { "build", "types" } -- types are annotations, not code

files["spec"] = { std = "max+busted" }
-- Its second line hides a shell script in a string.
files["bin/pop3"] = { max_line_length = 80, ignore = { "111/_" } }
files["lua"] = { max_line_length = 80 }
files["examples"] = { max_line_length = 80 }
files["examples/love"] = { std = "luajit+love" }
files["examples/nginx"] = { std = "ngx_lua", max_line_length = 80 }
files["rockspec/*.rockspec"] = { std = "+rockspec" }

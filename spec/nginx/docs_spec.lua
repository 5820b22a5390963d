-- docs_spec.lua - docs/nginx.md's first configuration works as it stands, but
-- for the server's name, the port and where the tree is.

local files = require "spec.support.files"
local mailbox = require "spec.support.mailbox"
local nginx = require "spec.support.nginx"

-- What a page cannot know. Each of them has to be in the page.
local CHANGES = {
  ["load_module[^\n]*\n"] = "",
  ["pid nginx.pid;"] = "$modules $user daemon off; pid pid;",
  ["error_log stderr;"] = "error_log error.log;",
  ["127.0.0.1:8080"] = "unix:http.sock",
  ["access_log off;"] = [[access_log off;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    lua_package_path "$root/lua/?.lua;;";
    lua_package_cpath "$root/build/luajit/?.so;;";
    init_worker_by_lua_file worker.lua;]],
}

describe("docs/nginx.md", function()
  after_each(nginx.stop_all)
  after_each(mailbox.stop_all)

  it("leads to an endpoint by copy and paste", function()
    local box = mailbox.start { "--sample", "3", "--user", "joe", "--password",
      "secret" }
    local page = files.read(nginx.root .. "/docs/nginx.md")
    local text = page:match("```nginx\n(.-)```")
    local changes = {
      ["joe@mail.example.org/"] = "joe@127.0.0.1:" .. box.tls,
      ['password = "secret" }'] = ('password = "secret", cafile = %q }')
        :format(box.ca),
    }
    for from, to in pairs(CHANGES) do changes[from] = to end
    for from, to in pairs(changes) do
      local count
      text, count = text:gsub(from, (to:gsub("%%", "%%%%")))
      assert.is_true(count > 0, from .. " is not in the page")
    end
    local host = nginx.start { configuration = text }
    local body, status = host:get("/count")
    assert.same({ "3 messages\n", 200 }, { body, status })
  end)
end)

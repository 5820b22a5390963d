-- The C tests' SCRAM vectors are what Python's hashlib makes of them, now and
-- here.

local files = require "spec.support.files"
local shell = require "spec.support.shell"

describe("The SCRAM vectors", function()
  it("are what Python makes of them", function()
    local python = os.getenv("PYTHON") or "python3"
    local made = shell.succeed("%s spec/support/scram_vectors.py", python)
    assert.is_true(#made > 10000)
    assert.is_true(made == files.read("spec/csrc/scram_vectors.h"),
      "scram_vectors.h is not what spec/support/scram_vectors.py prints")
  end)
end)

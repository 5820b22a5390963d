--- pop3 fetch: the messages of one account or of several into Maildirs.
--
-- @module pop3.cli.fetch

local Account = require "pop3.cli.account"
local Progress = require "pop3.cli.progress"
local config = require "pop3.cli.config"
local interrupt = require "pop3.cli.interrupt"
local jobs = require "pop3.cli.jobs"
local problem = require "pop3.cli.problem"

-- Run jobs on accounts. Whatever happens, they let go of what they hold.
local function run(accounts, most, job)
  local list = {}
  for i, account in ipairs(accounts) do
    list[i] = function(...) return job(account, ...) end
  end
  local ok, err = pcall(jobs.run, list, most)
  if ok then return end
  for _, account in ipairs(accounts) do account:close() end
  error(err, 0)
end

local function fetch_one(options)
  if not options.maildir then
    problem.raise(problem.USAGE, "where to? --maildir DIR is missing",
      "see pop3 fetch --help")
  end
  local progress = Progress.start(1, options.quiet)
  local account = Account.new(options, progress)
  local ok, err = pcall(run, { account }, 1, Account.fetch)
  progress:finish()
  if not ok then error(err, 0) end
  if account.exit then problem.raise(account.exit, account.text) end
  if not options.quiet then io.stderr:write(account:summary(), "\n") end
end

-- ------------------------------------------------------------ several

-- What one account lacks does not stop the others: `results` has its place.
local function prepare(sections, progress)
  local accounts, results = {}, {}
  for i, section in ipairs(sections) do
    local ok, account = pcall(Account.new, section.options, progress,
      section.name)
    if ok then
      accounts[#accounts + 1] = account
      results[i] = account
    else
      if interrupt.exit_code(account) then error(account, 0) end
      local exit, text = problem.of(account)
      progress:say(problem.line(section.name .. ": " .. text))
      results[i] = { exit = exit }
    end
  end
  return accounts, results
end

local function fetch_noisily(account, ...)
  account:fetch(...)
  if account.exit then account:say(account.text) end
end

-- The first failure's exit code, by the order of the file; what went well.
local function survey(results)
  local exit, good, deletions, left_out = nil, 0, 0, 0
  for _, result in ipairs(results) do
    exit = exit or result.exit
    if not result.exit then good = good + 1 end
    deletions = deletions + (result.deletions or 0)
    left_out = left_out + (result.left_out or 0)
  end
  return exit, good, deletions, left_out
end

local function summary(results, progress)
  local exit, good, deletions, left_out = survey(results)
  local text = ("%s stored, %d of %d accounts done"):format(progress:summary(),
    good, #results)
  if left_out > 0 then
    text = ("%s, %d known already"):format(text, left_out)
  end
  if deletions > 0 then
    text = ("%s, %d deleted from the servers"):format(text, deletions)
  end
  return exit, text
end

local function fetch_several(options)
  local sections = config.accounts(options)
  local progress = Progress.start(#sections, options.quiet)
  local accounts, results = prepare(sections, progress)
  local ok, err = pcall(run, accounts, options.jobs, fetch_noisily)
  progress:finish()
  if not ok then error(err, 0) end
  local exit, text = summary(results, progress)
  if not options.quiet then io.stderr:write(text, "\n") end
  return exit
end

-- A URL, or the names of accounts in a file.
local function url_of(options)
  local found
  for _, word in ipairs(options.what) do
    if word:find("://", 1, true) then found = word end
  end
  if found and (#options.what > 1 or options.config) then
    problem.raise(problem.USAGE, "one URL, or names of accounts, not both",
      "see pop3 fetch --help")
  end
  return found
end

--- @treturn ?number an exit code
return function(options)
  options.url = url_of(options)
  if options.url then return fetch_one(options) end
  return fetch_several(options)
end

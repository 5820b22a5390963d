function love.conf(t)
  t.version = "11.4"
  t.window.title = "Mailbox"
  t.window.width, t.window.height = 480, 240
  t.modules.audio, t.modules.sound = false, false
end

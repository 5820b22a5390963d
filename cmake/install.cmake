# What goes where. Lua's own default paths start at the prefix, so that a
# module installed under /usr/local is found without any setting.

if(NOT POP3_LUA STREQUAL "none")
  set(POP3_INSTALL_LUADIR ${CMAKE_INSTALL_DATADIR}/lua/${POP3_LUA_ABI}
    CACHE STRING "Where the Lua files go, below the prefix")
  set(POP3_INSTALL_CDIR ${CMAKE_INSTALL_LIBDIR}/lua/${POP3_LUA_ABI}
    CACHE STRING "Where the C module goes, below the prefix")
  install(DIRECTORY lua/ DESTINATION ${POP3_INSTALL_LUADIR}
    FILES_MATCHING PATTERN "*.lua")
  install(TARGETS core LIBRARY DESTINATION ${POP3_INSTALL_CDIR}/pop3)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/bin/pop3)
    install(PROGRAMS bin/pop3 DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endif()

if(POP3_STATIC)
  install(TARGETS pop3_engine ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES csrc/pop3.h csrc/commands.h csrc/errors.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/pop3)
  configure_file(cmake/pop3.pc.in pop3.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/pop3.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

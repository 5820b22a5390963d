# Libraries that the client can do without: what needs one then fails with a
# text that says so. Found by pkg-config; -DPOP3_WITH_NAME=OFF leaves one out.

find_package(PkgConfig)
set(POP3_OPTIONAL_LIBS "")     # for who links the static library by hand
set(POP3_OPTIONAL_PACKAGES "") # for its pkg-config file

macro(pop3_optional_library name package purpose)
  option(POP3_WITH_${name} "Use ${package}, if it is there: ${purpose}" ON)
  # pkg-config tells of this system's libraries, whatever is compiled for.
  if(POP3_WITH_${name} AND PKG_CONFIG_FOUND AND NOT CMAKE_CROSSCOMPILING)
    pkg_check_modules(POP3_${name} IMPORTED_TARGET ${package})
  endif()
  if(POP3_WITH_${name} AND POP3_${name}_FOUND)
    target_compile_definitions(pop3_client PRIVATE POP3_WITH_${name})
    target_link_libraries(pop3_client PRIVATE PkgConfig::POP3_${name})
    string(APPEND POP3_OPTIONAL_LIBS " ${POP3_${name}_LDFLAGS}")
    string(APPEND POP3_OPTIONAL_PACKAGES " ${package}")
  endif()
endmacro()

pop3_optional_library(LIBIDN libidn "SCRAM passwords that are not ASCII")

# libunbound is loaded when it is first asked for; its header is enough.
option(POP3_WITH_UNBOUND "Use libunbound, if it is there: TLSA, SRV" ON)
if(POP3_WITH_UNBOUND AND NOT CMAKE_CROSSCOMPILING)
  find_path(POP3_UNBOUND_HEADER unbound.h)
  mark_as_advanced(POP3_UNBOUND_HEADER)
  if(POP3_UNBOUND_HEADER)
    target_compile_definitions(pop3_client PRIVATE POP3_WITH_UNBOUND)
    target_include_directories(pop3_client SYSTEM PRIVATE ${POP3_UNBOUND_HEADER})
  endif()
endif()

# scripts/lanes/c-tests links what this build needs.
string(REPLACE ";" " " POP3_OPTIONAL_LIBS "${POP3_OPTIONAL_LIBS}")
file(WRITE ${CMAKE_BINARY_DIR}/optional-libs "${POP3_OPTIONAL_LIBS}\n")

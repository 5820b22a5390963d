# Write the library's Lua files as C data, for csrc/embed:
#
#   cmake -DOUTPUT=FILE.c [-DLIBRARIES=FILE.lua[,...]] -P cmake/embed.cmake
#
# Every file below lua/ is taken, but the command's (pop3/cli) only with the
# libraries that it needs: whoever adds one need not add it here. A literal for
# each line, because compilers need not take a longer one than 4,095 octets, and
# because people may want to read it.

set(root ${CMAKE_CURRENT_LIST_DIR}/../lua)
file(GLOB_RECURSE paths RELATIVE ${root} ${root}/*.lua)
string(REPLACE "," ";" libraries "${LIBRARIES}")
if(NOT libraries)
  list(FILTER paths EXCLUDE REGEX "^pop3/cli(\\.lua$|/)")
endif()
list(TRANSFORM paths PREPEND ${root}/)
list(APPEND paths ${libraries})
list(SORT paths)

set(arrays "")
set(rows "")
foreach(file IN LISTS paths)
  string(REPLACE "${root}/" "" path ${file})
  list(FIND libraries ${file} place)
  if(place GREATER -1)
    get_filename_component(path ${file} NAME)
  endif()
  string(REGEX REPLACE "(/init)?\\.lua$" "" module ${path})
  string(MAKE_C_IDENTIFIER ${module} name)
  string(REPLACE "/" "." module ${module})
  file(READ ${file} text)
  string(REPLACE "\r" "" text "${text}")
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "?" "\\?" text "${text}") # no trigraphs
  string(REPLACE "\n" "\\n\",\n    \"" text "${text}")
  string(APPEND arrays
    "\n/* lua/${path} */\n"
    "static const char *const lines_of_${name}[] = {\n"
    "    \"${text}\",\n    NULL,\n};\n")
  string(APPEND rows
    "    {\"${module}\", \"@${path}\", lines_of_${name}},\n")
endforeach()

file(WRITE ${OUTPUT}
  "/* Written by cmake/embed.cmake. */\n"
  "#include \"lua_files.h\"\n\n"
  "#include <stddef.h>\n"
  "${arrays}\n"
  "const pop3_lua_file pop3_lua_files[] = {\n${rows}    {NULL, NULL, NULL},\n};\n")

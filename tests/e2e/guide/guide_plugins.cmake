# Installs the build tree, moves the installation, builds docs/guide's plugins and plugins/template against it, runs
# the kernel's own test and checks each plugin with the installed executable (or the validator alone where there is none).
set(work ${BINARY_DIR}/tests/guide)
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})

# step(what command ..): runs it; a failure ends the test with its output.
function(step what)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${work} RESULT_VARIABLE failed OUTPUT_VARIABLE output
                  ERROR_VARIABLE output)
  if(failed)
    message(FATAL_ERROR "${what} failed (${failed}):\n${output}")
  endif()
  message(STATUS "${what}: ok")
  set(output "${output}" PARENT_SCOPE)
endfunction()
function(expect text)
  string(FIND "${output}" "${text}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "expected '${text}' in:\n${output}")
  endif()
endfunction()

step("install" ${CMAKE_COMMAND} --install ${BINARY_DIR} --prefix ${work}/installed)
file(RENAME ${work}/installed ${work}/moved)
set(prefix ${work}/moved)
set(tare ${prefix}/bin/tare)

set(plugins "")
foreach(pair "docs/guide/model guide_phi" "docs/guide/kernel guide_activate" "docs/guide/layout guide_layout" "plugins/template tare_template"
        "docs/guide/c_program guide_tiny_c" "docs/guide/cuda_kernel guide_activate_cuda"
        "docs/guide/cuda_product guide_product_cuda")
  separate_arguments(pair UNIX_COMMAND "${pair}")
  list(GET pair 0 folder)
  list(GET pair 1 name)
  # A copy: the tutorial must not lean on files beside it in this repository.
  file(COPY ${SOURCE_DIR}/${folder}/ DESTINATION ${work}/source_${name})
  step("configure ${folder}" ${CMAKE_COMMAND} -S ${work}/source_${name} -B ${work}/build_${name} -G ${GENERATOR}
       -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
       "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
  step("build ${folder}" ${CMAKE_COMMAND} --build ${work}/build_${name})
  list(APPEND plugins ${work}/build_${name}/${name}.so)
endforeach()
step("the kernel's own test" ${work}/build_guide_activate/guide_activate_test)
step("the layout's own test" ${work}/build_guide_layout/guide_layout_test)

# The tutorial's CUDA kernel through NVRTC for a GPU that is made up; tests/gpu runs it on a real one.
if(CUDA_RUNNER)
  step("compile the CUDA kernel" ${CUDA_RUNNER} ${work}/build_guide_activate_cuda/guide_activate_cuda.so ${FAKE_DRIVER})
  message(STATUS "${output}")
endif()

# The tutorial's product is measured, config by config, and chosen for the one matrix that fills no records; on a GPU that
# is made up, where all take as long.
if(CUDA_RUNNER AND EXISTS ${tare} AND NOT output MATCHES "skipped")
  file(MAKE_DIRECTORY ${work}/driver)
  file(CREATE_LINK ${FAKE_DRIVER} ${work}/driver/libcuda.so.1 SYMBOLIC)
  set(on_gpu ${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${work}/driver FAKE_CUDA_FREE=1073741824 TARE_NVRTC=${NVRTC_FOLDER}
      TARE_KERNEL_CACHE=${BINARY_DIR}/kernel-cache TARE_PLUGIN_PATH=${work}/build_guide_product_cuda
      TARE_TUNING_DATABASE=${work}/tuning.db ${tare})
  set(steps --device cuda:0 --chunk 4 --sequences 4)
  set(model ${SOURCE_DIR}/tests/golden/models/llama-plain)
  step("tare autotune with the CUDA product" ${on_gpu} autotune ${model} ${steps} --layouts dense/rows --json)
  foreach(config "rows = 2, tokens = 1, warps = 8" "rows = 1, tokens = 1, warps = 4" "rows = 4, tokens = 4, warps = 8")
    expect("\"name\":\"org.example.product.cuda {${config}}\"")
  endforeach()
  expect("\"failures\":[]")
  step("tare explain with the CUDA product" ${on_gpu} explain ${model} ${steps})
  expect("org.example.product.cuda {rows = 2, tokens = 1, warps = 8}, exact (measured on")
  expect("not org.example.product.cuda: the matrices fill records")
endif()

foreach(plugin ${plugins})
  if(EXISTS ${tare})
    step("tare plugins check ${plugin}" ${tare} plugins check ${plugin})
    expect("is a good plugin")
  else()
    step("check ${plugin}" ${CHECKER} ${plugin})
    expect(": good")
  endif()
  # Nothing but the door may be exported, and no library of a stranger's machine needed.
  if(output MATCHES "warning")
    message(FATAL_ERROR "a tutorial's plugin is warned about:\n${output}")
  endif()
endforeach()

if(EXISTS ${tare})
  # The moved executable finds the plugins beside it, and the strangers' ones by the environment.
  set(path "${work}/build_guide_phi:${work}/build_guide_activate:${work}/build_tare_template")
  step("tare plugins" ${CMAKE_COMMAND} -E env TARE_PLUGIN_PATH=${path} ${tare} plugins --json)
  foreach(found "org.example.phi" "org.example.activate.table" "org.example.clamp/1" "tare.elementwise")
    expect("${found}")
  endforeach()

  # The tutorial's model runs, its activations by the tutorial's kernel, and says what Transformers says.
  set(model ${SOURCE_DIR}/docs/guide/model)
  step("tare explain" ${CMAKE_COMMAND} -E env TARE_PLUGIN_PATH=${path} ${tare} explain ${model})
  expect("org.example.activate.table")
  file(READ ${model}/golden.json golden)
  string(JSON prompt GET "${golden}" prompt_tokens)
  string(JSON greedy GET "${golden}" greedy_tokens)
  step("tare generate" ${CMAKE_COMMAND} -E env TARE_PLUGIN_PATH=${path} ${tare} generate --model ${model}
       --tokens ${prompt} --max-tokens 8 --temperature 0 --json)
  expect("\"tokens\":[${greedy}]")

  # Without the plugin the same model is refused with the nearest family.
  execute_process(COMMAND ${tare} explain ${model} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT failed)
    message(FATAL_ERROR "PhiForCausalLM was explained without its plugin:\n${output}")
  endif()
  expect("PhiForCausalLM")

  # A stranger's code and order hold the weights, its kernel multiplies by them, and the tokens are those of plain rows.
  set(model ${SOURCE_DIR}/tests/golden/models/llama-plain)
  set(with_layout ${CMAKE_COMMAND} -E env TARE_PLUGIN_PATH=${work}/build_guide_layout ${tare})
  step("tare explain --layout row12" ${with_layout} explain ${model} --layout row12)
  expect("org.example.linear.row12")
  foreach(layout "row12" "dense/rows")
    step("tare generate --layout ${layout}" ${with_layout} generate --model ${model} --layout ${layout}
         --tokens 1,5,9,13 --max-tokens 12 --temperature 0 --json)
    string(JSON tokens_${layout} GET "${output}" tokens)
  endforeach()
  if(NOT "${tokens_row12}" STREQUAL "${tokens_dense/rows}")
    message(FATAL_ERROR "row12 gave ${tokens_row12}, plain rows gave ${tokens_dense/rows}")
  endif()
endif()
